"""The part of docs/clients/openai-agents.md about Python, as a reader runs it."""

import os
import subprocess
import sys

from harness import PATIENCE, environment
from snippets import Page, at

PAGE = Page("openai-agents")


def run(script, program):
    env = environment(PATH=f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}")
    done = subprocess.run(
        ["bash", "-c", f"{script}exec python -"], env=env, input=program, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_program(proxy, backend):
    assert "Paris" in run("", at(proxy, PAGE.block("python")))
    (turn,) = backend.turns()
    assert turn["body"]["model"] == "gpt-5.5" and turn["body"]["tools"][0]["name"] == "get_weather"


def test_the_environment(proxy, backend):
    program = """
from agents import Agent, Runner
print(Runner.run_sync(Agent("Friend", model="gpt-5.5"), "Hello!").final_output)
"""
    assert "Hello!" in run(at(proxy, PAGE.block("bash", "export")), program)
    assert len(backend.turns()) == 1
