"""docs/clients/langchain.md, as a reader runs it."""

import pytest
from exercised import exercises
from snippets import Page, at, python

PAGE = Page("langchain")


@pytest.mark.parametrize("program", PAGE.blocks("python"), ids=["chat", "responses"])
@exercises("chat", "responses", "stream", "whole")
def test_the_programs(proxy, backend, program):
    assert "Hello!" in python(at(proxy, program))
    (turn,) = backend.turns()
    assert turn["body"]["model"] == "gpt-5.5"


def test_the_environment(proxy, backend):
    program = 'from langchain_openai import ChatOpenAI; print(ChatOpenAI(model="gpt-5.5").invoke("Hello!").text)'
    assert "Hello!" in python(program, at(proxy, PAGE.block("bash", "export")))
    assert len(backend.turns()) == 1
