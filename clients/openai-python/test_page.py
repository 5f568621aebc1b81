"""docs/clients/openai-python.md, as a reader runs it."""

import os
import subprocess
import sys

import pytest
from exercised import exercises
from harness import PATIENCE, environment
from snippets import Page, at

PAGE = Page("openai-python")


def run(program, **settings):
    done = subprocess.run(
        [sys.executable, "-"], input=program, env=environment(**settings), capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("program", PAGE.blocks("python"), ids=["chat", "responses"])
@exercises("chat", "responses", "stream", "whole")
def test_the_programs(proxy, backend, program):
    assert "Hello!" in run(at(proxy, program))
    (turn,) = backend.turns()
    assert turn["body"]["model"] == "gpt-5.5"


def test_the_environment(proxy):
    script = at(proxy, PAGE.block("bash", "export")) + "exec python -c 'import openai; print(openai.OpenAI().models.list())'"
    env = environment(PATH=f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}")
    done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0 and "gpt-5.5" in done.stdout, done.stderr
