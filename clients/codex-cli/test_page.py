"""docs/clients/codex-cli.md: a custom provider, without a login of the CLI."""

import base64
import os
import subprocess

from exercised import exercises
from harness import PATIENCE
from snippets import Page

PAGE = Page("codex-cli")
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


def asked(turn):
    """Returns the user's messages, oldest first, without those the client adds in the user's name."""
    items = [item for item in turn["body"]["input"] if item["type"] == "message" and item["role"] == "user"]
    return [item["content"][0]["text"] for item in items if not item["content"][0]["text"].startswith("<")]


@exercises("responses", "stream", "turns")
def test_the_commands(by_environment, backend):
    path = f"{by_environment.program.parent}:{os.environ['PATH']}"
    # The client trusts a directory without a repository only if told to.
    commands = PAGE.block("bash", "codex exec").replace("codex exec", "codex exec --skip-git-repo-check")
    done = subprocess.run(
        ["bash", "-ec", commands], env=by_environment.env | {"PATH": path}, cwd=by_environment.directory,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=2 * PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert "What is in this directory?" in first and "And what is it for?" in second
    before, after = backend.turns()
    assert before["body"]["model"] == "gpt-5.5"
    assert asked(before) == ["What is in this directory?"] and asked(after) == [*asked(before), "And what is it for?"]
    assert before["body"]["prompt_cache_key"] == after["body"]["prompt_cache_key"]


@exercises("responses", "websocket", "stream", "tools", "usage")
def test_a_task_with_a_shell(cli, backend):
    done = cli.exec("--json", '[sim:tool-once=exec_command][sim:args-once={"cmd":"echo from-the-tool"}] Go!')
    assert done.returncode == 0, done.stderr
    assert '"command_execution"' in done.stdout and "The tool answered" in done.stdout and '"input_tokens"' in done.stdout
    outputs = [item["output"] for item in backend.turns()[-1]["body"]["input"] if item["type"] == "function_call_output"]
    assert len(outputs) == 1 and "from-the-tool" in outputs[0]


@exercises("tools", "files")
def test_a_patch_lands(by_environment, backend):
    done = by_environment.exec("--sandbox", "workspace-write", "[sim:custom-tool] Make a file.")
    assert done.returncode == 0, done.stderr
    assert (by_environment.directory / "simulated.txt").read_text() == "simulated\n"
    outputs = [item["type"] for item in backend.turns()[-1]["body"]["input"]]
    assert outputs[-2:] == ["custom_tool_call", "custom_tool_call_output"]


@exercises("images", "reasoning")
def test_an_image_and_an_effort(by_environment, backend):
    (by_environment.directory / "pixel.png").write_bytes(base64.b64decode(PIXEL))
    done = by_environment.exec("-c", 'model_reasoning_effort="high"', "What is this?", "-i", "pixel.png")
    assert done.returncode == 0 and "What is this?" in done.stdout, done.stderr
    (turn,) = backend.turns()
    parts = [part for item in turn["body"]["input"] if item["type"] == "message" for part in item["content"]]
    (image,) = [part for part in parts if part["type"] == "input_image"]
    assert image["image_url"].startswith("data:image/png;base64,")
    assert turn["body"]["reasoning"]["effort"] == "high"
