"""docs/clients/litellm.md and the README's program, as a reader runs them. The proxy server is in ../litellm-proxy."""

import pytest
from exercised import exercises
from snippets import README, Page, at, python

PAGE = Page("litellm")


@pytest.mark.parametrize("program", PAGE.blocks("python"), ids=["chat", "responses"])
@exercises("chat", "responses", "stream", "whole")
def test_the_programs(proxy, backend, program):
    assert "Hello!" in python(at(proxy, program))
    (turn,) = backend.turns()
    assert turn["body"]["model"] == "gpt-5.5"


def test_the_readme(proxy, backend):
    assert "Hello!" in python(at(proxy, README.block("python", "litellm")))
    assert [turn["status"] for turn in backend.turns()] == [200, 200]


def test_the_environment(proxy, backend):
    program = 'import litellm; print(litellm.completion("openai/gpt-5.5", [{"role": "user", "content": "Hello!"}]).choices)'
    assert "Hello!" in python(program, at(proxy, PAGE.block("bash", "OPENAI_API_BASE")))
    assert len(backend.turns()) == 1
