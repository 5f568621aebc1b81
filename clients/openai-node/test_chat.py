"""Chat Completions with openai-node."""

import json

import pytest
from exercised import exercises
from harness import MODEL, TIME, WEATHER, ask

PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/XFstLwAAAABJRU5ErkJggg=="


@exercises("chat", "whole", "usage")
def test_whole_reply(sdk, backend):
    reply = sdk("chat", body=ask(text="What is new?"))
    (choice,) = reply["choices"]
    assert "What is new?" in choice["message"]["content"] and choice["finish_reason"] == "stop"
    usage = reply["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0
    (turn,) = backend.turns()
    assert turn["body"]["stream"] is True and turn["body"]["store"] is False


@exercises("chat", "stream", "usage")
def test_stream(sdk):
    expected = sdk("chat", body=ask(text="Tell me."))["choices"][0]["message"]["content"]
    *chunks, last = sdk("chatStream", body=ask(text="Tell me.", stream_options={"include_usage": True}))
    assert last["choices"] == [] and last["usage"]["completion_tokens"] > 0
    assert not any(chunk.get("usage") for chunk in chunks)
    choices = [chunk["choices"][0] for chunk in chunks]
    assert "".join(choice["delta"].get("content") or "" for choice in choices) == expected
    assert [choice["finish_reason"] for choice in choices if choice["finish_reason"]] == ["stop"]


@pytest.mark.parametrize("run", ["runTools", "runToolsStream"])
@exercises("chat", "stream", "whole", "tools", "turns", "usage")
def test_run_tools(sdk, backend, run):
    done = sdk(run, body=ask("tool=get_weather", "The weather in Paris?"))
    assert "18 °C" in done["text"]
    ((name, arguments),) = done["ran"]
    assert name == "get_weather" and isinstance(arguments["location"], str)
    assert [message["role"] for message in done["messages"]] == ["user", "assistant", "tool", "assistant"]
    first, second = backend.turns()
    assert {tool["name"] for tool in first["body"]["tools"]} == {"get_weather", "get_time"}
    call, output = [item for item in second["body"]["input"] if "call_id" in item]
    assert (call["type"], output["type"]) == ("function_call", "function_call_output")
    assert call["call_id"] == output["call_id"] == done["messages"][1]["tool_calls"][0]["id"]


@pytest.mark.parametrize("run", ["runTools", "runToolsStream"])
@exercises("tools", "turns")
def test_run_parallel_tools(sdk, backend, run):
    done = sdk(run, body=ask("parallel-tools", "The weather and the time?"))
    assert sorted(name for name, _ in done["ran"]) == ["get_time", "get_weather"]
    outputs = [item for item in backend.turns()[-1]["body"]["input"] if item["type"] == "function_call_output"]
    assert [output["output"] for output in outputs] == ["18 °C", "noon"]
    assert len({output["call_id"] for output in outputs}) == 2


@exercises("tools", "stream")
def test_tool_deltas(sdk):
    chunks = sdk("chatStream", body=ask("parallel-tools", tools=[WEATHER, TIME]))
    deltas = [call for chunk in chunks for call in chunk["choices"][0]["delta"].get("tool_calls") or []]
    for index, name in enumerate(["get_weather", "get_time"]):
        first, *rest = [delta for delta in deltas if delta["index"] == index]
        assert first["id"] and first["type"] == "function" and first["function"]["name"] == name
        assert all(set(delta) == {"index", "function"} for delta in rest)
        assert json.loads("".join(delta["function"]["arguments"] for delta in [first, *rest]))


@pytest.mark.parametrize("url", [PIXEL, "https://example.com/cat.png"])
@exercises("images")
def test_image_input(sdk, backend, url):
    content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url, "detail": "low"}}]
    reply = sdk("chat", body={"model": MODEL, "messages": [{"role": "user", "content": content}]})
    assert "What is this?" in reply["choices"][0]["message"]["content"]
    parts = [part for item in backend.turns()[0]["body"]["input"] for part in item["content"]]
    assert {"type": "input_image", "image_url": url, "detail": "low"} in parts


@exercises("reasoning")
def test_reasoning(sdk, backend):
    reply = sdk("chat", body=ask("reasoning", reasoning_effort="high"))
    assert "Reading the question" in reply["choices"][0]["message"]["reasoning_content"]
    assert reply["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0
    assert backend.turns()[0]["body"]["reasoning"]["effort"] == "high"


@exercises("schemas", "whole")
def test_parse(sdk, backend):
    assert set(sdk("chatParse", body=ask("json-schema"))) == {"name", "attendees", "seats"}
    form = backend.turns()[0]["body"]["text"]["format"]
    assert (form["type"], form["name"], form["strict"]) == ("json_schema", "event", True)


@exercises("schemas", "stream")
def test_stream_helper(sdk):
    done = sdk("chatHelper", body=ask("json-schema", stream_options={"include_usage": True}))
    assert done["seen"] == ["content.delta", "content.done", "end"]
    assert set(done["parsed"]) == {"name", "attendees", "seats"}
    assert done["usage"]["total_tokens"] > 0


def test_a_refusal_is_one(sdk):
    message = sdk("chat", body=ask("refusal"))["choices"][0]["message"]
    assert "can't help" in message["refusal"] and not message["content"]


def test_what_the_backend_cannot_do_is_named(sdk):
    headers = sdk("chatHeaders", body=ask(temperature=0.2))
    assert "temperature" in headers["x-codex-proxy-dropped"]


def test_a_client_that_leaves_ends_the_turn_at_the_backend(sdk, backend):
    assert sdk("leave", body=ask("stall"))["object"] == "chat.completion.chunk"
    # pytest's timeout limits the wait.
    while (turn := backend.turns()[-1])["outcome"] == "in_flight":
        pass
    assert turn["outcome"] == "disconnected"


@exercises("models")
def test_models(sdk):
    assert MODEL in [model["id"] for model in sdk("models")]
    assert sdk("model", id=MODEL)["id"] == MODEL
