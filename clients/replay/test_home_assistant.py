"""Home Assistant: Extended OpenAI Conversation with legacy functions and with tools, and the built-in integration."""

import json

from exercised import exercises
from replay import settings
from replay.exchange import request, response_streamed, whole

NAME = "Home Assistant"
PROMPT = "[sim:tool=execute_services] Turn on the light."


@exercises("models", client=NAME)
def test_the_set_up_asks_for_the_models(proxy):
    assert request("home-assistant", "models", **settings.home_assistant(proxy)).send().json()["data"]


@exercises("chat", "whole", "tools", "turns", client=NAME)
def test_functions_of_the_old_kind(proxy, backend):
    first = request("home-assistant", "functions", prompt=PROMPT, **settings.home_assistant(proxy))
    (choice,) = first.send().json()["choices"]
    call = choice["message"]["function_call"]
    assert choice["finish_reason"] == "function_call" and call["name"] == "execute_services"
    json.loads(call["arguments"])
    # It keeps only the function's result, not the message with the call.
    first.body["messages"].append({"role": "function", "name": call["name"], "content": "[{'success': True}]"})
    seen = whole(first.send())
    assert seen.text and seen.finish == "stop"
    assert "[{'success': True}]" in json.dumps(backend.turns()[1]["body"]["input"])


@exercises("tools", client=NAME)
def test_tools(proxy, backend):
    first = request("home-assistant", "functions", prompt=PROMPT, **settings.home_assistant(proxy))
    functions = first.body.pop("functions")
    first.body |= {"tools": [{"type": "function", "function": one} for one in functions], "tool_choice": first.body.pop("function_call")}
    seen = whole(first.send())
    (call,) = seen.calls
    first.body["messages"] += [
        seen.message(),
        {"tool_call_id": call["id"], "role": "tool", "name": call["name"], "content": "[{'success': True}]"},
    ]
    assert "{'success': True}" in whole(first.send()).text
    assert [item["call_id"] for item in backend.turns()[1]["body"]["input"] if "call_id" in item] == [call["id"]] * 2


def test_the_default_limit_cuts_a_long_answer(proxy):
    first = request("home-assistant", "functions", prompt="[sim:big=1000] Tell me all.", **settings.home_assistant(proxy))
    first.body["max_tokens"] = 4000
    assert whole(first.send()).finish == "stop"
    first.body["max_tokens"] = 150
    assert whole(first.send()).finish == "length", "which the integration shows as an error"


@exercises("responses", "stream", "reasoning", client=NAME)
def test_its_own_integration(proxy, backend):
    values = settings.home_assistant_core(proxy)
    seen = response_streamed(request("home-assistant", "core", prompt="[sim:reasoning] Is it warm?", **values).send())
    assert "Is it warm?" in seen.text
    assert backend.turns()[0]["body"]["include"] == ["reasoning.encrypted_content"]
