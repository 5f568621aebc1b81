"""goose: an address from two settings, and one of OpenAI's small models for session names."""

import json

from exercised import exercises
from replay import settings
from replay.exchange import request, streamed

NAME = "goose"


@exercises("chat", "stream", "tools", "turns", "usage", client=NAME)
def test_a_session(proxy, backend):
    first = request("goose", "session", prompt="[sim:tool=developer__shell] List it.", **settings.goose(proxy))
    seen = streamed(first.send())
    (call,) = seen.calls
    assert json.loads(call["arguments"])["command"] and seen.usage["total_tokens"] > 0
    first.body["messages"] += [seen.message(), {"role": "tool", "content": "README.md", "tool_call_id": call["id"]}]
    assert "README.md" in streamed(first.send()).text
    assert [item["call_id"] for item in backend.turns()[1]["body"]["input"] if "call_id" in item] == [call["id"]] * 2


def test_the_name_of_a_session(proxy, backend):
    values = settings.goose(proxy)
    assert streamed(request("goose", "title", prompt="List it.", **values).send()).text
    (turn,) = backend.turns()
    assert turn["body"]["model"] not in ("gpt-4o-mini", values["model"]) and turn["body"]["reasoning"]["effort"] == "low"
