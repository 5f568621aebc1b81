"""Roo Code: content parts with Anthropic's `cache_control`, tools in each request, reasoning shown as it arrives."""

import json

from exercised import exercises
from replay import settings
from replay.exchange import request, streamed

NAME = "Roo Code"


def ask(proxy, prompt, **values):
    return request("roo", "chat", prompt=prompt, **{**settings.roo(proxy), **values})


@exercises("chat", "stream", "tools", "turns", "reasoning", "usage", client=NAME)
def test_a_task(proxy, backend):
    first = ask(proxy, "[sim:reasoning][sim:tool=read_file] Explain it.")
    seen = streamed(first.send())
    (call,) = seen.calls
    assert json.loads(call["arguments"])["path"] and seen.finish == "tool_calls" and seen.usage["prompt_tokens"] > 0
    first.body["messages"] += [
        seen.message(),
        {"role": "tool", "tool_call_id": call["id"], "content": "1 | fn main() {}"},
        {"role": "user", "content": [{"type": "text", "text": "<environment_details/>", "cache_control": {"type": "ephemeral"}}]},
    ]
    assert streamed(first.send()).text
    turns = [turn["body"] for turn in backend.turns()]
    assert "cache_control" not in json.dumps(turns) and "fn main() {}" in json.dumps(turns[1]["input"])
    assert all(tool["strict"] is True for tool in turns[0]["tools"]) and turns[0]["parallel_tool_calls"] is True
    # The texts around the prompt reach the model, each as a separate part.
    (user,) = [item for item in turns[0]["input"] if item.get("role") == "user"]
    assert [part["type"] for part in user["content"]] == ["input_text"] * 2


@exercises("tools", client=NAME)
def test_two_calls_at_once(proxy):
    calls = streamed(ask(proxy, "[sim:parallel-tools] Read both.").send()).calls
    assert len(calls) == 2 and len({call["id"] for call in calls}) == 2
    assert all(isinstance(json.loads(call["arguments"]), dict) for call in calls)


def test_with_names_of_the_o_series_the_instructions_have_another_role(proxy, backend):
    first = ask(proxy, "Hello!", model="o4-mini")
    del first.body["temperature"]
    first.body["messages"][0] = {"role": "developer", "content": "Formatting re-enabled\nYou are Roo."}
    first.body["reasoning_effort"] = "medium"
    assert "Hello!" in streamed(first.send()).text
    assert "You are Roo." in json.dumps(backend.turns()[0]["body"])
