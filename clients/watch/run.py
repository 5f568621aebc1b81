"""The two comparisons, in laboratories of their own."""

import tempfile
from pathlib import Path

from watch import compare, known
from watch.lab import Lab
from watch.official import Official
from watch.ours import Ours, without_content


def official(program):
    """Returns what the official client at `program` sends, by call."""
    with tempfile.TemporaryDirectory() as directory, Lab(Path(directory)) as lab:
        return Official(lab, program).calls()


def changed(program):
    """Returns a line for each difference between the official client at `program` and its recordings."""
    return compare.changed(compare.read(), official(program))


def ours(program):
    """Returns a line for each difference between the program and the recordings that is not known."""
    recorded = compare.read()
    with tempfile.TemporaryDirectory() as directory, Lab(Path(directory)) as lab:
        client = Ours(lab, program)
        own = known.unknown(
            client.calls(), lambda call: without_content(recorded[call]), known.OWN, compare.differences
        )
        passed_on = known.unknown(client.passed_on(), recorded.get, known.PASSED_ON, compare.differences)
        return [f"codex-proxy, {line}" for line in own] + [f"through codex-proxy, {line}" for line in passed_on]
