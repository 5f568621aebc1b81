"""Records what the tests of a client exercised, and makes the table.

A test declares it with `@exercises("stream", "tools")`; the table lists what the passing tests declared.
"""

import json
import re

# In the order of the table. "chat" and "responses" are the two APIs; the rest is what was done with them.
WORDS = (
    "chat",
    "responses",
    "websocket",
    "models",
    "stream",
    "whole",
    "tools",
    "turns",
    "images",
    "schemas",
    "reasoning",
    "usage",
    "files",
    "failures",
)
SAID = {
    "chat": "chat",
    "responses": "responses",
    "websocket": "WebSocket",
    "models": "models",
    "stream": "streaming",
    "whole": "non-streaming",
    "tools": "tools",
    "turns": "multi-turn",
    "images": "images",
    "schemas": "structured output",
    "reasoning": "reasoning",
    "usage": "usage",
    "files": "file edits",
    "failures": "failures",
}


def exercises(*words, client=None):
    """Marks a test or a class of tests with what it exercises; `client` names the client if a suite has several."""
    import pytest  # Not installed where `clients/run` makes the table.

    assert set(words) <= set(WORDS), f"not in the vocabulary: {set(words) - set(WORDS)}"
    return pytest.mark.exercises(*words, client=client)


def noted(items):
    """Returns what the tests `items` exercised, by client; an empty name stands for the suite's only client."""
    found = {}
    for item in items:
        for mark in item.iter_markers("exercises"):
            found.setdefault(mark.kwargs["client"] or "", set()).update(mark.args)
    return {client: sorted(words) for client, words in found.items()}


def table(clients, results):
    """Returns the table of all suites with results, as Markdown."""
    rows = []
    for file in results.glob("*.json"):
        suite = clients / file.stem
        if not (suite / "client.json").exists():
            continue
        about = json.loads((suite / "client.json").read_text(encoding="utf-8"))
        found = json.loads(file.read_text(encoding="utf-8"))
        for client in about if isinstance(about, list) else [about]:
            words = found.get(client["name"], found.get("", []) if about is client else [])
            rows.append((client["name"], f"[{client['name']}](docs/clients/{client['page']})", version(suite, client), said(words)))
    lines = ["| Client | Version | Tested |", "|--------|---------|--------|"]
    lines += [f"| {link} | {number} | {words} |" for _, link, number, words in sorted(rows, key=lambda row: row[0].lower())]
    return "\n".join(lines) + "\n"


def said(words):
    return ", ".join(SAID[word] for word in WORDS if word in words)


def version(suite, client):
    """Returns the pinned version of the client's package, or else its declared version, or that its requests are replayed."""
    package = client.get("package")
    if package is None:
        return client.get("version", "replayed requests")
    for lock in (suite / "package-lock.json", suite / "requirements.txt", suite.parent / "requirements.txt"):
        if lock.name == "package-lock.json" and lock.exists():
            packages = json.loads(lock.read_text(encoding="utf-8"))["packages"]
            if found := packages.get(f"node_modules/{package}"):
                return found["version"]
        elif lock.exists():
            # The first one may be an older version, for an older Python.
            if found := re.findall(rf"^{re.escape(package)}==([^ ]+)", lock.read_text(encoding="utf-8"), re.MULTILINE):
                return found[-1]
    raise AssertionError(f"{suite.name}: no lock file names {package}")
