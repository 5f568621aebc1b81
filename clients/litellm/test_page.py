"""docs/clients/litellm.md and the README's program, as a reader runs them. The proxy server is in ../litellm-proxy."""

import os
import subprocess
import sys

import pytest
from exercised import exercises
from harness import PATIENCE, environment
from snippets import README, Page, at

PAGE = Page("litellm")


def run(program, **settings):
    done = subprocess.run(
        [sys.executable, "-"], input=program, env=environment(**settings), capture_output=True, text=True, timeout=2 * PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("program", PAGE.blocks("python"), ids=["chat", "responses"])
@exercises("chat", "responses", "stream", "whole")
def test_the_programs(proxy, backend, program):
    assert "Hello!" in run(at(proxy, program))
    (turn,) = backend.turns()
    assert turn["body"]["model"] == "gpt-5.5"


def test_the_readme(proxy, backend):
    assert "Hello!" in run(at(proxy, README.block("python", "litellm")))
    assert [turn["status"] for turn in backend.turns()] == [200, 200]


def test_the_environment(proxy, backend):
    program = "import litellm; print(litellm.completion(\"openai/gpt-5.5\", [{\"role\": \"user\", \"content\": \"Hello!\"}]).choices)"
    script = at(proxy, PAGE.block("bash", "OPENAI_API_BASE")) + f"exec python -c '{program}'"
    env = environment(PATH=f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}")
    done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, timeout=2 * PATIENCE)
    assert done.returncode == 0 and "Hello!" in done.stdout, done.stderr
    assert len(backend.turns()) == 1
