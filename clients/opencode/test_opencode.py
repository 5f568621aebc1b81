"""Tasks with tools, several turns and files, as in docs/clients/opencode.md."""

import base64

from exercised import exercises
from snippets import Page

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


def answer(backend, scenario):
    backend.control("POST", "scenario", {"scenario": scenario})


def texts(turn):
    return [part["text"] for item in turn["body"]["input"] if item["type"] == "message" for part in item["content"]]


@exercises("responses", "stream", "turns")
def test_the_commands(by_the_page, backend):
    done = by_the_page.run("bash", "-ec", Page("opencode").block("bash", "opencode run"))
    assert done.returncode == 0, done.stderr
    assert "What is in this directory?" in done.stdout and "And what is it for?" in done.stdout
    by_model = {}
    for turn in backend.turns():
        by_model.setdefault(turn["body"]["model"], []).append(turn)
    first, second = by_model["gpt-5.5"]
    assert texts(second)[: len(texts(first))] == texts(first)
    # The page's small model, which every account has, generates the title.
    assert all(turn["body"]["reasoning"]["effort"] == "low" for turn in by_model["gpt-6-luna"])


@exercises("chat", "responses", "stream", "tools", "files")
def test_a_task_with_a_shell(opencode, backend):
    (opencode.directory / "note.txt").write_text("from the file\n")
    answer(backend, '[sim:tool=bash][sim:args={"command":"tr a-z A-Z <note.txt | tee copy.txt","description":"Copy"}]')
    assert "FROM THE FILE" in opencode.say("Copy the note.")
    assert (opencode.directory / "copy.txt").read_text() == "FROM THE FILE\n"
    _, second = backend.turns()
    call, output = second["body"]["input"][-2:]
    assert (call["type"], output["type"]) == ("function_call", "function_call_output") and "FROM THE FILE" in output["output"]


@exercises("tools")
def test_parallel_calls(by_the_page, backend):
    answer(backend, '[sim:tool=read][sim:tool=read][sim:args={"filePath":"opencode.json"}]')
    by_the_page.say("Read it twice.")
    _, second = backend.turns()
    kinds = [item["type"] for item in second["body"]["input"]]
    assert kinds.count("function_call") == kinds.count("function_call_output") == 2


@exercises("reasoning")
def test_reasoning_is_shown_and_goes_on(by_the_page, backend):
    answer(backend, "[sim:reasoning][sim:text=So it is.]")
    shown = by_the_page.say("Think.", "--thinking")
    assert "Reading the question" in shown and "So it is." in shown
    by_the_page.say("And now?", "--continue")
    first, second = backend.turns()
    assert first["body"]["reasoning"]["summary"]
    (reasoning,) = [item for item in second["body"]["input"] if item["type"] == "reasoning"]
    assert reasoning["encrypted_content"]


@exercises("images")
def test_a_picture(by_the_page, backend):
    (by_the_page.directory / "pixel.png").write_bytes(base64.b64decode(PIXEL))
    by_the_page.say("What is this?", "--file", "pixel.png")
    (turn,) = backend.turns()
    parts = [part for item in turn["body"]["input"] for part in item["content"]]
    assert f"data:image/png;base64,{PIXEL}" in [part.get("image_url") for part in parts]
