"""docs/clients/curl.md, as a reader runs it."""

import subprocess

import pytest
from exercised import exercises
from harness import PATIENCE, environment
from snippets import Page, at

PAGE = Page("curl")


def run(script):
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], env=environment(), capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@exercises("chat", "stream")
def test_chat(proxy, backend):
    told = run(at(proxy, PAGE.block("bash", "/chat/completions")))
    assert told.endswith("data: [DONE]\n\n") and "Hello!" in told
    assert [turn["body"]["model"] for turn in backend.turns()] == ["gpt-5.5"]


@exercises("responses", "whole")
def test_responses(proxy, backend):
    assert '"status":"completed"' in run(at(proxy, PAGE.block("bash", "/responses"))).replace(" ", "")
    assert [turn["body"]["model"] for turn in backend.turns()] == ["gpt-5.5"]


@exercises("models", "usage")
def test_models_and_usage(proxy):
    told = run(at(proxy, PAGE.block("bash", "/models")))
    assert '"gpt-5.5"' in told and '"weekly"' in told


@pytest.mark.parametrize("flag", ["--fail-with-body", "-i"])
def test_the_flags_that_are_named(proxy, flag):
    assert f"`{flag}`" in PAGE.text
    script = at(proxy, PAGE.block("bash", "/responses")).replace("gpt-5.5", "no-such-model").replace("curl ", f"curl -s {flag} ")
    done = subprocess.run(["bash", "-c", script], env=environment(), capture_output=True, text=True, timeout=PATIENCE)
    assert "model_not_found" in done.stdout
    assert done.returncode == (22 if flag == "--fail-with-body" else 0)


def test_no_block_is_left_out():
    assert PAGE.languages() == {"bash"} and len(PAGE.blocks("bash")) == 3
