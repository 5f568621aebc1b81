"""Each fault as the Continue CLI shows it: an exit code and a message, or silent retries. Of a truncated reply it shows only the part
that arrived; docs/clients/continue.md warns of that.
"""

from exercised import exercises
from faults import FAULTS, each_fault

pytestmark = exercises("failures")

# It retries these silently.
TRIED_AGAIN = {"challenge", "usage-limit", "server-error", "overload"}
# It ignores the event that reports the error.
SHOWN_AS_WHOLE = {"cut", "stalled"}


def test_each_is_known():
    assert TRIED_AGAIN | SHOWN_AS_WHOLE <= {fault.name for fault in FAULTS}


@each_fault
def test_it_is_shown(failed, failing, backend, fault):
    prompt = f"{fault.words} Hello!"
    if fault.name in TRIED_AGAIN:
        with failed.started("-p", prompt) as running:
            # Each check is a call to the simulator; pytest's timeout limits the wait.
            while len(backend.turns()) <= fault.turns:
                pass
            assert running.process.poll() is None and "Hello!" not in running.output
        return
    done = failed.run("cn", "-p", prompt)
    if fault.name in SHOWN_AS_WHOLE:
        assert done.returncode == 0 and done.stdout.strip() == "You", done.stdout + done.stderr
        assert f'error="{fault.code}"' in failing.output, "the proxy's log has what the client keeps to itself"
    else:
        assert done.returncode == 1 and fault.says in done.stdout + done.stderr
    assert len(backend.turns()) == fault.turns
