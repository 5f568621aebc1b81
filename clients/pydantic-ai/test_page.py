"""docs/clients/pydantic-ai.md, as a reader runs it."""

import os
import subprocess
import sys

import pytest
from exercised import exercises
from harness import PATIENCE, environment
from snippets import Page, at

PAGE = Page("pydantic-ai")


@pytest.mark.parametrize("program", PAGE.blocks("python"), ids=["responses", "chat"])
@exercises("chat", "responses", "stream", "whole")
def test_the_programs(proxy, backend, program):
    done = subprocess.run(
        [sys.executable, "-"], input=at(proxy, program), env=environment(), capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0 and "Hello!" in done.stdout, done.stderr
    (turn,) = backend.turns()
    assert turn["body"]["model"] == "gpt-5.5"


@pytest.mark.parametrize("name", ["openai:gpt-5.5", "openai-chat:gpt-5.5"])
def test_the_environment(proxy, backend, name):
    program = f"from pydantic_ai import Agent; print(Agent(\"{name}\").run_sync(\"Hello!\").output)"
    script = at(proxy, PAGE.block("bash", "export")) + f"exec python -c '{program}'"
    env = environment(PATH=f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}")
    done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0 and "Hello!" in done.stdout, done.stderr
    assert len(backend.turns()) == 1
