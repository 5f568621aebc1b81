"""Tasks with tools and several turns, as in docs/clients/cline.md."""

import json
import re

from exercised import exercises


def answer(backend, scenario):
    backend.control("POST", "scenario", {"scenario": scenario})


@exercises("chat", "stream")
def test_the_commands(cline, backend):
    done = cline.run("bash", "-ec", cline.commands[1])
    assert done.returncode == 0 and "What is in this directory?" in done.stdout, done.stdout + done.stderr
    (turn,) = backend.turns()
    assert turn["body"]["model"] == "gpt-5.5" and turn["body"]["instructions"]


@exercises("chat", "stream", "tools", "files", "usage")
def test_a_task_with_a_shell(cline, backend):
    (cline.directory / "note.txt").write_text("from the file\n")
    answer(backend, '[sim:tool=run_commands][sim:args={"commands":["tr a-z A-Z <note.txt | tee copy.txt"]}]')
    done = cline.run("cline", "--json", "Copy the note.")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (cline.directory / "copy.txt").read_text() == "FROM THE FILE\n"
    _, second = backend.turns()
    call, output = second["body"]["input"][-2:]
    assert (call["type"], output["type"]) == ("function_call", "function_call_output") and "FROM THE FILE" in output["output"]
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert re.search(r'"inputTokens": ?[1-9]', json.dumps(events)), done.stdout


@exercises("reasoning")
def test_an_effort(cline, backend):
    done = cline.run("cline", "--thinking", "high", "Think of it.")
    assert done.returncode == 0, done.stdout + done.stderr
    (turn,) = backend.turns()
    assert turn["body"]["reasoning"]["effort"] == "high"
