"""Each fault as the user of `codex exec` sees it: an exit code and a message, and no multiplied retries."""

from exercised import exercises
from faults import CONTENT_FILTER, FAULTS, each_fault

pytestmark = exercises("failures")

# The client's own messages; for everything else it shows the proxy's.
OWN_WORDS = {
    "usage-limit": "You’ve hit your usage limit",
    "overload": "Selected model is at capacity",
    "context": "ran out of room in the model's context window",
    "unknown-model": "'no-such-model' model is not supported",
}
# The client retries these, once with the page's configuration.
TRIED_AGAIN = {"cut", "stalled", "login", "challenge", "server-error"}
# If that does not help, it falls back from the WebSocket to HTTP and starts over.
ATTEMPTS = {"http": 2, "websocket": 4}


def test_each_is_known():
    assert OWN_WORDS.keys() | TRIED_AGAIN <= {fault.name for fault in FAULTS}


@each_fault
def test_it_ends_with_a_message(failed, backend, fault, transport):
    done = failed.exec("-m", fault.model.replace("gpt-5.1", "gpt-5.5"), f"{fault.words} Hello!")
    assert done.returncode == 1
    assert OWN_WORDS.get(fault.name, fault.says) in done.stderr.partition("Hello!")[2], done.stderr
    assert done.stdout == ""
    assert len(backend.turns()) == fault.turns * (ATTEMPTS[transport] if fault.name in TRIED_AGAIN else 1)


def test_a_content_filter_is_named(by_environment):
    done = by_environment.exec(f"[sim:{CONTENT_FILTER}] Hello!")
    assert done.returncode == 1 and "content_filter" in done.stderr
