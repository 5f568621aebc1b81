"""Each fault as `opencode run` shows it: an exit code and a message, or retries at growing intervals."""

import pytest
from exercised import exercises
from faults import CONTENT_FILTER, FAULTS, each_fault

pytestmark = exercises("failures")

# It retries these until it is stopped, and reports that only in its log; with an exhausted plan, not before the window resets. It
# recognises a truncated reply by the words of the message.
TRIED_AGAIN = {"cut", "challenge", "usage-limit", "server-error", "overload"}
OWN_WORDS = {"unknown-model": "'no-such-model' model is not supported", "context": "context window"}


def test_each_is_known():
    assert TRIED_AGAIN | OWN_WORDS.keys() <= {fault.name for fault in FAULTS}


@each_fault
def test_it_is_shown(failed, backend, fault):
    model = fault.model.replace("gpt-5.1", "gpt-5.5")
    with failed.started(f"{fault.words} Hello!", "--model", f"codex-proxy/{model}") as opencode:
        if fault.name in TRIED_AGAIN:
            opencode.line("stream error")
            opencode.kill()
        else:
            assert opencode.wait() == 1
    assert OWN_WORDS.get(fault.name, fault.says) in opencode.output
    tries = opencode.output.count('message="stream error"')
    # The last retry may have started another one.
    assert tries * fault.turns <= len(backend.turns()) <= (tries + (fault.name in TRIED_AGAIN)) * fault.turns


def test_a_content_filter_is_named(by_the_page, backend):
    done = by_the_page.run("opencode", "run", "--title", "A test", f"[sim:{CONTENT_FILTER}] Hello!")
    assert done.returncode == 1 and "blocked by the provider's content filter" in done.stderr
    assert len(backend.turns()) == 1
