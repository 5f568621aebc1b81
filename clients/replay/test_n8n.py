"""n8n: the test of a credential, the OpenAI node with the Responses API, the chat model with chat."""

import json

from exercised import exercises
from replay import settings
from replay.exchange import request, response, whole

NAME = "n8n"


def ask(proxy, name, **values):
    return request("n8n", name, **settings.n8n(proxy), **values)


@exercises("models", client=NAME)
def test_the_credential(proxy):
    assert "gpt-5.5" in [model["id"] for model in ask(proxy, "models").send().json()["data"]]


@exercises("responses", "whole", "tools", "turns", "usage", client=NAME)
def test_the_node_and_its_tool(proxy, backend):
    first = ask(proxy, "responses", prompt="[sim:tool=Get_many_rows] How many?")
    reply = first.send().json()
    (call,) = response(reply).calls
    assert "limit" in json.loads(call["arguments"])
    # The node appends the whole output to its input.
    first.body["input"] += [*reply["output"], {"type": "function_call_output", "call_id": call["call_id"], "output": "three rows"}]
    seen = response(first.send().json())
    assert "three rows" in seen.text and seen.usage["total_tokens"] > 0
    sent = backend.turns()[1]["body"]
    assert [item["call_id"] for item in sent["input"] if "call_id" in item] == [call["call_id"]] * 2
    assert sent["store"] is False and sent["stream"] is True, "as the backend wants it"


@exercises("chat", "whole", client=NAME)
def test_the_chat_model(proxy, backend):
    seen = whole(ask(proxy, "chat", prompt="Hello!").send())
    assert "Hello!" in seen.text and seen.finish == "stop" and seen.usage["completion_tokens"] > 0
    assert len(backend.turns()) == 1
