"""Every path that openai-python calls is served, or says by name why it is not."""

import re
from pathlib import Path

import httpx2
import openai
from harness import KEY


def paths():
    """Returns every path in the sources of the SDK, with an id for each parameter."""
    sources = Path(openai.__file__).parent.joinpath("resources").rglob("*.py")
    found = {path for source in sources for path in re.findall(r'"(/[a-z_{][a-z0-9_/{}]*)"', source.read_text(encoding="utf-8"))}
    return sorted(re.sub(r"\{[a-z_]+\}", "x", path) for path in found)


def test_every_path_is_served_or_named(proxy):
    asked = paths()
    assert len(asked) > 100
    for path in asked:
        reply = httpx2.put(f"{proxy.base_url}{path}", headers={"authorization": f"Bearer {KEY}"})
        message = reply.json()["error"]["message"]
        named = reply.status_code == 404 and "is not supported" in message
        assert named or reply.status_code == 405, f"{path}: {reply.status_code} {message}"
