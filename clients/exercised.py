"""What the tests of a client exercised, and the table of it.

A test says it with `@exercises("stream", "tools")`; what is in the table comes from the tests that passed.
"""

import json
import re

# In the order of the table. What is called "chat" and "responses" are the two APIs; the rest says what was done over them.
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
    "whole": "whole replies",
    "tools": "tools",
    "turns": "several turns",
    "images": "images",
    "schemas": "structured output",
    "reasoning": "reasoning",
    "usage": "usage",
    "files": "edited files",
    "failures": "failures",
}


def exercises(*words, client=None):
    """Marks a test, or a class of them, with what it exercises; `client` says of whom, where a suite is of several."""
    import pytest  # Not there where `clients/run` makes the table.

    assert set(words) <= set(WORDS), f"not in the vocabulary: {set(words) - set(WORDS)}"
    return pytest.mark.exercises(*words, client=client)


def noted(items):
    """What the tests `items` exercised, by client; `None` stands for the suite's own."""
    found = {}
    for item in items:
        for mark in item.iter_markers("exercises"):
            found.setdefault(mark.kwargs["client"] or "", set()).update(mark.args)
    return {client: sorted(words) for client, words in found.items()}


def table(clients, results):
    """The table of the suites that have left results, as Markdown."""
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
    lines = ["| Client | Version | Exercised |", "|--------|---------|-----------|"]
    lines += [f"| {link} | {number} | {words} |" for _, link, number, words in sorted(rows, key=lambda row: row[0].lower())]
    return "\n".join(lines) + "\n"


def said(words):
    return ", ".join(SAID[word] for word in WORDS if word in words)


def version(suite, client):
    """The pinned version of the client's package; without one, what is said, or else that its requests are replayed."""
    package = client.get("package")
    if package is None:
        return client.get("version", "its requests, replayed")
    for lock in (suite / "package-lock.json", suite / "requirements.txt", suite.parent / "requirements.txt"):
        if lock.name == "package-lock.json" and lock.exists():
            packages = json.loads(lock.read_text(encoding="utf-8"))["packages"]
            if found := packages.get(f"node_modules/{package}"):
                return found["version"]
        elif lock.exists():
            # An older one, for an older Python, stands first.
            if found := re.findall(rf"^{re.escape(package)}==([^ ]+)", lock.read_text(encoding="utf-8"), re.MULTILINE):
                return found[-1]
    raise AssertionError(f"{suite.name}: no lock file names {package}")
