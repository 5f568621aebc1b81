"""Each fault as the Cline CLI shows it: an exit code and a message, or retries at growing intervals."""

from exercised import exercises
from faults import CONTENT_FILTER, FAULTS, each_fault

pytestmark = exercises("failures")

# It retries these silently.
TRIED_AGAIN = {"challenge", "usage-limit", "server-error", "overload"}
OWN_WORDS = {"unknown-model": "'no-such-model' model is not supported", "context": "exceeds the model's context window"}


def test_each_is_known():
    assert TRIED_AGAIN | OWN_WORDS.keys() <= {fault.name for fault in FAULTS}


@each_fault
def test_it_is_shown(failed, backend, fault):
    arguments = ["--model", fault.model.replace("gpt-5.1", "gpt-5.5"), f"{fault.words} Hello!"]
    if fault.name in TRIED_AGAIN:
        with failed.started(*arguments) as cline:
            second_try_has_begun(backend, fault)
            assert cline.process.poll() is None and "Hello!" not in cline.output
    else:
        done = failed.run("cline", *arguments)
        assert done.returncode == 1 and OWN_WORDS.get(fault.name, fault.says) in done.stdout + done.stderr
        assert len(backend.turns()) in (fault.turns, fault.turns + (fault.name == "context"))


def second_try_has_begun(backend, fault):
    # Each check is a call to the simulator; pytest's timeout limits the wait.
    while len(backend.turns()) <= fault.turns:
        pass


def test_a_content_filter_leaves_what_came_before_it(cline, backend):
    done = cline.run("cline", f"[sim:{CONTENT_FILTER}] Hello there!")
    assert done.returncode == 0 and "Hello there!" in done.stdout and len(backend.turns()) == 1
