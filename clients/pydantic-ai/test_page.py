"""docs/clients/pydantic-ai.md, as a reader runs it."""

import pytest
from exercised import exercises
from snippets import Page, at, python

PAGE = Page("pydantic-ai")


@pytest.mark.parametrize("program", PAGE.blocks("python"), ids=["responses", "chat"])
@exercises("chat", "responses", "stream", "whole")
def test_the_programs(proxy, backend, program):
    assert "Hello!" in python(at(proxy, program))
    (turn,) = backend.turns()
    assert turn["body"]["model"] == "gpt-5.5"


@pytest.mark.parametrize("name", ["openai:gpt-5.5", "openai-chat:gpt-5.5"])
def test_the_environment(proxy, backend, name):
    program = f'from pydantic_ai import Agent; print(Agent("{name}").run_sync("Hello!").output)'
    assert "Hello!" in python(program, at(proxy, PAGE.block("bash", "export")))
    assert len(backend.turns()) == 1
