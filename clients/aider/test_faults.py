"""Each fault as aider shows it: its message, and a limited number of retries."""

import re

import pytest
from exercised import exercises
from faults import CONTENT_FILTER, CUT, FAULTS, STALLED, each_fault

pytestmark = exercises("failures")

# aider gives up at once. It retries all others for a minute, at growing intervals.
FINAL = {"login", "context", "unknown-model", "refused-parameter"}
OWN_WORDS = {"context": "has hit a token limit", "unknown-model": "'no-such-model' model is not supported"}


def test_each_is_known():
    assert FINAL | OWN_WORDS.keys() <= {fault.name for fault in FAULTS}


def plain(text):
    """Returns a text without line ends, which depend on the terminal's width."""
    return " ".join(text.split())


@each_fault
def test_it_is_shown(failed, backend, fault):
    check(failed, backend, fault, "--stream")


@pytest.mark.parametrize("fault", [CUT, STALLED], ids=["cut", "stalled"])
def test_it_is_shown_of_a_whole_reply(failed, backend, fault):
    """Returns whether the reply has started: a stream has, a non-streaming reply has not."""
    check(failed, backend, fault, "--no-stream")


def check(failed, backend, fault, stream):
    model = fault.model.replace("gpt-5.1", "gpt-5.5")
    settings = ["--model", f"openai/{model}", stream, "--no-show-model-warnings", "greet.py"]
    with failed.started(f"{fault.words} Hello!", *settings) as aider:
        if fault.name in FINAL:
            # Also after a failure.
            assert aider.wait() == 0
        else:
            aider.line("Retrying in 0.5 seconds")
            aider.kill()
    assert OWN_WORDS.get(fault.name, fault.says) in plain(aider.output)
    tries = len(re.findall("Retrying in", aider.output)) or 1
    # The last of them may have started another one.
    assert tries * fault.turns <= len(backend.turns()) <= (tries + (fault.name not in FINAL)) * fault.turns
    assert failed.git("status", "--porcelain") == "" and failed.git("log", "--format=%s") == "Say hi\n"


def test_a_content_filter_leaves_no_edit(aider, backend):
    shown = aider.say(f"[sim:{CONTENT_FILTER}] Hello!", "greet.py")
    assert len(backend.turns()) == 1 and aider.git("status", "--porcelain") == "", shown
