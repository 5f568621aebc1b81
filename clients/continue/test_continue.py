"""The Continue CLI as its users set it up: with the file and the commands of docs/clients/continue.md."""

from exercised import exercises
from snippets import Page

PAGE = Page("continue")


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
