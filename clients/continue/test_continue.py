"""The Continue CLI as its users set it up: by the file and the commands of docs/clients/continue.md."""

import os
import subprocess

import pytest
from environments import node, node_packages
from exercised import exercises
from faults import CONTEXT, REFUSED
from harness import PATIENCE, environment
from snippets import Page, at

PAGE = Page("continue")


@pytest.fixture
def run(proxy, tmp_path):
    """Runs commands in a directory of their own."""
    programs = node_packages("continue")
    (tmp_path / ".continue").mkdir()
    (tmp_path / ".continue" / "config.yaml").write_text(at(proxy, PAGE.block("yaml")))
    path = f"{node().parent}:{programs}:{os.environ['PATH']}"
    env = environment(HOME=str(tmp_path), PWD=str(tmp_path), PATH=path, TERM="dumb", CONTINUE_TELEMETRY_ENABLED="0")

    def run(*command):
        return subprocess.run(
            command, cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE
        )

    return run


def texts(turn):
    return [part["text"] for item in turn["body"]["input"] if item["type"] == "message" for part in item["content"]]


@exercises("responses", "stream", "turns")
def test_the_commands(run, backend):
    done = run("bash", "-ec", PAGE.block("bash", "cn -p"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "What is in this directory?" in done.stdout and "And what is it for?" in done.stdout
    first, second = backend.turns()
    assert first["body"]["model"] == "gpt-5.5"
    assert "What is in this directory?" in " ".join(texts(second))


@exercises("responses", "stream", "tools", "files")
def test_a_task_with_a_shell(run, backend, tmp_path):
    (tmp_path / "note.txt").write_text("from the file\n")
    backend.control("POST", "scenario", {"scenario": '[sim:tool=Bash][sim:args={"command":"tr a-z A-Z <note.txt | tee copy.txt"}]'})
    done = run("cn", "-p", "--allow", "Bash", "Copy the note.")
    assert done.returncode == 0 and "FROM THE FILE" in done.stdout, done.stdout + done.stderr
    assert (tmp_path / "copy.txt").read_text() == "FROM THE FILE\n"
    _, second = backend.turns()
    outputs = [item["output"] for item in second["body"]["input"] if item["type"] == "function_call_output"]
    assert len(outputs) == 1 and "FROM THE FILE" in outputs[0]


@pytest.mark.parametrize("fault", [CONTEXT, REFUSED], ids=["context", "refused-parameter"])
@exercises("failures")
def test_a_refusal_is_shown(run, backend, fault):
    done = run("cn", "-p", f"{fault.words} Hello!")
    assert done.returncode == 1 and fault.says in done.stdout + done.stderr
    assert len(backend.turns()) == 1
