"""docs/clients/openai-python.md, as a reader runs it."""

import pytest
from exercised import exercises
from snippets import Page, at, python

PAGE = Page("openai-python")


@pytest.mark.parametrize("program", PAGE.blocks("python"), ids=["chat", "responses"])
@exercises("chat", "responses", "stream", "whole")
def test_the_programs(proxy, backend, program):
    assert "Hello!" in python(at(proxy, program))
    (turn,) = backend.turns()
    assert turn["body"]["model"] == "gpt-5.5"


def test_the_environment(proxy):
    program = "import openai; print(openai.OpenAI().models.list())"
    assert "gpt-5.5" in python(program, at(proxy, PAGE.block("bash", "export")))
