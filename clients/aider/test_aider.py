"""Edits that become commits in a git repository, as in docs/clients/aider.md."""

import base64

import pytest
from exercised import exercises
from snippets import Page

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="

DIFF = """greet.py
```python
<<<<<<< SEARCH
    return "hi"
=======
    return "hello"
>>>>>>> REPLACE
```
"""
WHOLE = """greet.py
```python
def greet():
    return "hello"
```
"""


def answer(backend, *scenarios):
    """Queues these answers for the next turns."""
    for scenario in scenarios:
        backend.control("POST", "scenario", {"scenario": scenario})


def edit_and_message(edit, before=""):
    return f"{before}[sim:text={edit}]", "[sim:text=Say hello]"


def landed(aider):
    assert (aider.repository / "greet.py").read_text() == 'def greet():\n    return "hello"\n'
    assert aider.git("log", "--format=%s").splitlines() == ["Say hello", "Say hi"]
    assert aider.git("status", "--porcelain") == ""


def bodies(backend):
    return [turn["body"] for turn in backend.turns()]


@exercises("chat", "stream", "whole", "files", "usage")
def test_the_command(aider, backend):
    answer(backend, *edit_and_message(DIFF))
    shown = aider.run("bash", "-ec", Page("aider").block("bash", "--message"))
    landed(aider)
    assert "Applied edit to greet.py" in shown and "Tokens: " in shown
    edit, message = bodies(backend)
    assert edit["model"] == "gpt-5.5" and "SEARCH/REPLACE" in edit["instructions"]
    # The weak model of the page exists in every account.
    assert message["model"] == "gpt-6-luna" and message["reasoning"]["effort"] == "low"
    assert "temperature" not in edit


@pytest.mark.parametrize("edit_format, edit", [("diff", DIFF), ("whole", WHOLE)], ids=["diff", "whole"])
@exercises("chat", "whole", "files", "reasoning")
def test_whole_replies(aider, backend, edit_format, edit):
    answer(backend, *edit_and_message(edit))
    aider.say("Say hello.", "--no-stream", "--edit-format", edit_format, "--reasoning-effort", "high", "greet.py")
    landed(aider)
    assert bodies(backend)[0]["reasoning"]["effort"] == "high"


@exercises("turns")
def test_a_conversation_is_restored(aider, backend):
    answer(backend, "[sim:text=I see.]")
    aider.say("My name is Ada.", "--no-auto-commits")
    shown = aider.say("What is my name?", "--no-auto-commits", "--restore-chat-history")
    assert "What is my name?" in shown
    texts = [part["text"] for item in bodies(backend)[-1]["input"] for part in item["content"]]
    assert any("My name is Ada." in text for text in texts) and any("I see." in text for text in texts)


@exercises("images")
def test_a_picture(aider, backend):
    (aider.repository / "pixel.png").write_bytes(base64.b64decode(PIXEL))
    aider.say("What is this?", "pixel.png")
    (body,) = bodies(backend)
    images = [part for item in body["input"] for part in item["content"] if part["type"] == "input_image"]
    assert [image["image_url"] for image in images] == [f"data:image/png;base64,{PIXEL}"]


def test_a_reasoning_summary_is_no_part_of_the_edit(aider, backend):
    answer(backend, *edit_and_message(DIFF, before="[sim:reasoning=always]"))
    aider.say("Say hello.", "greet.py")
    landed(aider)
