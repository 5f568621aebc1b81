"""docs/clients/ai-sdk.md, as a reader runs it."""

import os
import subprocess

import pytest
from environments import node
from harness import PATIENCE, environment
from node import run
from snippets import Page, at

PAGE = Page("ai-sdk")


@pytest.mark.parametrize("program", PAGE.blocks("js"), ids=["openai", "openai-compatible", "open-responses"])
def test_the_programs(proxy, backend, program):
    done = run("ai-sdk", "--input-type=module", "-", stdin=at(proxy, program))
    assert done.returncode == 0 and "Hello!" in done.stdout, done.stderr
    (turn,) = backend.turns()
    assert turn["body"]["model"] == "gpt-5.5"


def test_the_environment(proxy, backend):
    program = """
    import { openai } from "@ai-sdk/openai";
    import { generateText } from "ai";
    console.log((await generateText({ model: openai("gpt-5.5"), prompt: "Hello!" })).text);
    """
    script = at(proxy, PAGE.block("bash", "export")) + "exec node --input-type=module -"
    env = environment(PATH=f"{node().parent}:{os.environ['PATH']}")
    done = subprocess.run(
        ["bash", "-c", script], cwd=os.path.dirname(__file__), env=env, input=program, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0 and "Hello!" in done.stdout, done.stderr
    assert len(backend.turns()) == 1
