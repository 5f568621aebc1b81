"""The part of docs/clients/openai-agents.md about JavaScript, as a reader runs it."""

import os
import subprocess

from environments import node
from harness import PATIENCE, environment
from snippets import Page, at

PAGE = Page("openai-agents")


def run(script, program):
    env = environment(PATH=f"{node().parent}:{os.environ['PATH']}")
    done = subprocess.run(
        ["bash", "-c", f"{script}exec node --input-type=module -"], cwd=os.path.dirname(__file__), env=env, input=program,
        capture_output=True, text=True, timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_program(sdk, proxy, backend):
    assert "Paris" in run("", at(proxy, PAGE.block("js")))
    (turn,) = backend.turns()
    assert turn["body"]["model"] == "gpt-5.5" and turn["body"]["tools"][0]["name"] == "get_weather"


def test_the_environment(sdk, proxy, backend):
    program = """
    import { Agent, run } from "@openai/agents";
    console.log((await run(new Agent({ name: "Friend", model: "gpt-5.5" }), "Hello!")).finalOutput);
    """
    assert "Hello!" in run(at(proxy, PAGE.block("bash", "export")), program)
    assert len(backend.turns()) == 1
