"""Zed: strictly typed chunks, a title with full effort, and edit predictions, which the backend does not support."""

import json

import pytest
from exercised import exercises
from replay import settings
from replay.exchange import Failed, request, streamed

NAME = "Zed"


def insist(chunk):
    """Zed rejects a chunk in which any number or role has the wrong type."""
    for choice in chunk["choices"]:
        assert type(choice["index"]) is int
        delta = choice["delta"]
        assert delta.get("role") in (None, "user", "assistant", "system", "tool")
        for call in delta.get("tool_calls") or []:
            assert type(call["index"]) is int
            assert all(isinstance(call.get("function", {}).get(part), (str, type(None))) for part in ("name", "arguments"))
    if usage := chunk.get("usage"):
        assert all(type(usage[name]) is int for name in ("prompt_tokens", "completion_tokens", "total_tokens"))


def read(reply):
    return streamed(reply, insist)


def ask(proxy, name, prompt):
    return request("zed", name, prompt=prompt, **settings.zed(proxy))


@exercises("chat", "stream", "tools", "turns", "reasoning", "usage", client=NAME)
def test_a_thread(proxy, backend):
    first = ask(proxy, "chat", "[sim:reasoning][sim:tool=read_file] Explain it.")
    seen = read(first.send())
    (call,) = seen.calls
    assert json.loads(call["arguments"])["path"] and seen.finish == "tool_calls" and seen.usage
    # Zed returns the reasoning with the message.
    first.body["messages"] += [
        {**seen.message(), "reasoning_content": seen.reasoning},
        {"role": "tool", "content": "fn main() {}", "tool_call_id": call["id"]},
    ]
    assert "fn main() {}" in read(first.send()).text
    turns = [turn["body"] for turn in backend.turns()]
    assert [item["call_id"] for item in turns[1]["input"] if "call_id" in item] == [call["id"]] * 2
    assert all(body["reasoning"]["effort"] == "medium" and body["parallel_tool_calls"] is False for body in turns)
    assert len({body["prompt_cache_key"] for body in turns}) == 1
    assert all("temperature" not in body and "max_output_tokens" not in body for body in turns)


def test_a_title(proxy, backend):
    assert read(ask(proxy, "title", "Explain it.").send()).text
    assert backend.turns()[0]["body"]["reasoning"]["effort"] == "medium"


@exercises("failures", client=NAME)
def test_edit_predictions_are_refused_with_the_reason(proxy, backend):
    with pytest.raises(Failed, match="does not complete plain text") as caught:
        ask(proxy, "edit-prediction", "fn main() {").send().json()
    assert (caught.value.status, caught.value.code) == (404, "unknown_url") and backend.turns() == []
