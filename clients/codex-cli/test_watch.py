"""The watch is silent for the pinned version of the official client; `scripts/watch` runs the same by hand."""

import json

from environments import node_packages
from watch import compare, known, run

CODEX = node_packages("codex-cli") / "codex"


def test_the_official_client_sends_what_is_recorded():
    lines = run.changed(CODEX)
    assert not lines, "\n".join(lines)


def test_the_program_sends_the_same_but_for_what_is_known():
    lines = run.ours(CODEX)
    assert not lines, "\n".join(lines)


def test_each_kind_of_difference_has_a_line():
    recorded = {"headers": [["a", "1"], ["b", "2"], ["c", "3"]], "body": {"x": [{"y": 1}], "z": {"deep": 1}}}
    found = {"headers": [["b", "2"], ["a", "9"], ["d", "4"]], "body": {"z": {"deep": 1}, "x": [{"y": 1}, {"y": 2}]}}
    lines = compare.differences(recorded, found)
    assert {path: line.partition(":")[0] for path, line in lines.items()} == {
        "headers": "order of headers", "header a": "different", "header c": "gone", "header d": "new",
        "body": "order of body", "body.x[1]": "new",
    }
    assert compare.changed({"same": {}, "old": {}}, {"same": {}, "added": {}}) == ["added: new call", "old: not made any more"]


def test_a_known_difference_that_is_gone_has_a_line_too():
    listed = (known.Known("a|b", "header x", "a reason"), known.Known("c", "body.*", "another"))
    pairs = [("a", {"headers": []}), ("b", {"headers": [["x", "1"], ["y", "2"]]})]
    recorded = {"a": {"headers": [["x", "1"]]}, "b": {"headers": [["x", "1"]]}}
    assert known.unknown(pairs, recorded.get, listed, compare.differences) == [
        'b: new: header y = "2"', "c: no longer a difference: body.*",
    ]


def test_recordings_have_no_content():
    """No tokens and no sentences: only the words of the protocol."""
    for call, recorded in compare.read().items():
        for path, value in compare.facts(recorded).items():
            text = json.dumps(value)
            assert "eyJ" not in text and "rt_" not in text, (call, path)
            is_list_of_names = path in ("endpoints", "headers") or path.startswith(("header ", "body", "query"))
            assert len(text) < 160 or is_list_of_names, (call, path)
