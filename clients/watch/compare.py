"""Reads and writes recordings, and says what differs between two sets of calls, one line each."""

import json

from environments import CLIENTS
from watch.outline import facts

RECORDED = CLIENTS / "codex-cli" / "recorded"
WIDTH = 120


def read(directory=RECORDED):
    """Returns the recorded calls by name."""
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(directory.glob("*.json"))}


def write(calls, directory=RECORDED):
    """Replaces the recordings with `calls`."""
    directory.mkdir(exist_ok=True)
    for file in directory.glob("*.json"):
        file.unlink()
    for name, call in calls.items():
        (directory / f"{name}.json").write_text(dumped(call) + "\n", encoding="utf-8")


def dumped(part, indent=""):
    """Returns JSON in which what fits on a line is on a line."""
    short = json.dumps(part, ensure_ascii=False)
    if len(indent) + len(short) <= WIDTH or not isinstance(part, dict | list) or not part:
        return short
    inner = indent + "  "
    if isinstance(part, dict):
        lines = [f"{inner}{json.dumps(name)}: {dumped(value, inner)}" for name, value in part.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    return "[\n" + ",\n".join(inner + dumped(value, inner) for value in part) + f"\n{indent}]"


def differences(expected, found):
    """Returns the facts of one call that are new, gone or different, by path."""
    expected, found = facts(expected), facts(found)
    lines = {}
    for path in expected | found:
        before, now = expected.get(path), found.get(path)
        if any(outer in lines and (outer in expected) != (outer in found) for outer in outers(path)):
            # The line about what it is part of says it.
            continue
        if path not in expected:
            lines[path] = f"new: {path} = {shown(now)}"
        elif path not in found:
            lines[path] = f"gone: {path} = {shown(before)}"
        elif isinstance(before, tuple) and isinstance(now, tuple):
            # What is new or gone has a line of its own; here, only the order counts.
            common = [[name for name in names if name in before and name in now] for names in (before, now)]
            if common[0] != common[1]:
                lines[path] = f"order of {path}: {shown(common[1])}, was {shown(common[0])}"
        elif before != now:
            lines[path] = f"different: {path} = {shown(now)}, was {shown(before)}"
    return lines


def outers(path):
    """Returns the paths of what a path is part of."""
    return [path[:at] for at, letter in enumerate(path) if letter in ".["]


def shown(value):
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else json.dumps(value, ensure_ascii=False)


def changed(recorded, calls):
    """Returns a line for each difference of the official client from its recordings."""
    lines = [f"{name}: new call" for name in calls.keys() - recorded.keys()]
    lines += [f"{name}: not made any more" for name in recorded.keys() - calls.keys()]
    for name in calls.keys() & recorded.keys():
        lines += [f"{name}: {line}" for line in differences(recorded[name], calls[name]).values()]
    return sorted(lines)
