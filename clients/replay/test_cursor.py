"""Cursor: its servers send Responses bodies to the chat path and accept chat chunks in reply."""

import json

import pytest
from exercised import exercises
from harness import KEY
from replay import settings
from replay.exchange import Failed, request, streamed, whole


def ask(proxy, key, name="agent", prompt="Hello!"):
    return request("cursor", name, prompt=prompt, **settings.cursor(proxy, key))


@exercises("chat", "whole", client="Cursor")
def test_verify(proxy, backend, own_key):
    assert "Hello!" in whole(ask(proxy, own_key, "verify").send()).text
    (turn,) = backend.turns()
    assert turn["body"]["model"] != "gpt-4o-mini" and turn["body"]["reasoning"]["effort"] == "low"


def test_the_settings_page_may_call(proxy, own_key):
    reply = ask(proxy, own_key, "preflight").send()
    assert reply.status == 204 and reply.headers["access-control-allow-origin"] == "vscode-file://vscode-app"
    assert "authorization" in reply.headers["access-control-allow-headers"]


def test_the_well_known_key_counts_for_nothing_from_the_internet(proxy, backend):
    with pytest.raises(Failed) as caught:
        whole(ask(proxy, KEY, "verify").send())
    assert caught.value.status in (401, 403) and backend.turns() == []


@exercises("chat", "stream", "tools", "turns", "reasoning", "usage", client="Cursor")
def test_a_patch_is_raw_text_and_comes_back_as_a_function_call(proxy, backend, own_key):
    first = ask(proxy, own_key, prompt="[sim:reasoning][sim:custom-tool] Rename it.")
    seen = streamed(first.send())
    (call,) = seen.calls
    assert call["name"] == "ApplyPatch" and seen.finish == "tool_calls" and seen.usage["total_tokens"] > 0
    with pytest.raises(json.JSONDecodeError):
        json.loads(call["arguments"])

    # The next turn repeats the call as a function call.
    first.body["input"] += [
        {"type": "function_call", "call_id": call["id"], "name": call["name"], "arguments": call["arguments"]},
        {"type": "function_call_output", "call_id": call["id"], "output": "The patch was applied."},
    ]
    assert "The patch was applied." in streamed(first.send()).text
    declared, asked = backend.turns()
    kinds = {tool["name"]: tool["type"] for tool in declared["body"]["tools"]}
    assert kinds == {"Shell": "function", "Read": "function", "ApplyPatch": "custom"}
    (format,) = [tool["format"] for tool in declared["body"]["tools"] if tool["type"] == "custom"]
    assert format["syntax"] == "lark" and format["definition"].startswith('start: "*** Begin Patch"')
    again, output = asked["body"]["input"][-2:]
    assert (again["type"], again["input"]) == ("custom_tool_call", call["arguments"])
    assert (output["type"], output["call_id"]) == ("custom_tool_call_output", call["id"])


@exercises("tools", client="Cursor")
def test_functions_beside_it_are_called_as_functions(proxy, backend, own_key):
    (call,) = streamed(ask(proxy, own_key, prompt="[sim:tool=Shell] List it.").send()).calls
    assert call["name"] == "Shell" and "command" in json.loads(call["arguments"])
    (turn,) = backend.turns()
    assert turn["body"]["reasoning"] == {"effort": "medium", "summary": "auto"}
    assert any("You operate in Cursor" in json.dumps(item) for item in [turn["body"]["instructions"], *turn["body"]["input"]])
