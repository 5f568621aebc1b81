"""docs/clients/openai-node.md, as a reader runs it."""

import os
import subprocess

import pytest
from environments import node
from exercised import exercises
from harness import PATIENCE, environment
from node import run
from snippets import Page, at

PAGE = Page("openai-node")


@pytest.mark.parametrize("program", PAGE.blocks("js"), ids=["chat", "responses"])
@exercises("chat", "responses", "stream", "whole")
def test_the_programs(proxy, backend, program):
    done = run("openai-node", "--input-type=module", "-", stdin=at(proxy, program))
    assert done.returncode == 0 and "Hello!" in done.stdout, done.stderr
    (turn,) = backend.turns()
    assert turn["body"]["model"] == "gpt-5.5"


def test_the_environment(proxy):
    program = "import OpenAI from 'openai'; for await (const model of new OpenAI().models.list()) console.log(model.id)"
    script = at(proxy, PAGE.block("bash", "export")) + f'exec node --input-type=module --eval "{program}"'
    env = environment(PATH=f"{node().parent}:{os.environ['PATH']}")
    done = subprocess.run(
        ["bash", "-c", script], cwd=os.path.dirname(__file__), env=env, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0 and "gpt-5.5" in done.stdout.split(), done.stderr
