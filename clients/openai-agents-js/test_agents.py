"""Agents of the OpenAI Agents SDK for JavaScript, on models of both APIs."""

import json

import pytest
from exercised import exercises

pytestmark = exercises("chat", "responses")


def sent(backend, kind):
    """Returns the items of one kind in the last request."""
    return [item for item in backend.turns()[-1]["body"]["input"] if item["type"] == kind]


def texts(backend):
    return [part["text"] for item in sent(backend, "message") for part in item["content"]]


@exercises("whole", "usage")
def test_an_answer(sdk, api, backend):
    result = sdk("run", api=api, input="What is new?", instructions="Speak like a sailor.")
    assert "What is new?" in result["output"]
    usage = result["usage"]
    assert usage["requests"] == 1 and usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"] > 0
    (turn,) = backend.turns()
    assert "Speak like a sailor." in json.dumps(turn["body"]) and turn["body"]["store"] is False


@exercises("stream", "usage")
def test_a_stream(sdk, api):
    result = sdk("stream", api=api, input="Tell me.")
    assert "Tell me." in result["text"] and result["output"] == result["text"]
    assert result["seen"][-1] == "message_output_created" and result["usage"]["totalTokens"] > 0


@pytest.mark.parametrize("call", ["run", "stream"])
@exercises("stream", "whole", "tools", "turns")
def test_tools(sdk, api, backend, call):
    result = sdk(call, api=api, input="[sim:parallel-tools] The weather and the time?", parts=["tools"])
    assert "noon" in result["output"]
    kinds = [item["type"] for item in result["items"]]
    assert kinds.count("tool_call_item") == kinds.count("tool_call_output_item") == 2
    assert [item["name"] for item in sent(backend, "function_call")] == ["get_weather", "get_time"]
    assert [item["call_id"] for item in sent(backend, "function_call_output")] == [
        item["call_id"] for item in sent(backend, "function_call")
    ]


@exercises("tools", "turns")
def test_a_hand_off(sdk, api, backend):
    result = sdk("run", api=api, input="[sim:tool=transfer_to_Weather] The weather in Paris?", parts=["handoff"])
    assert result["agent"] == "Weather" and "Weather" in result["output"]
    first, second = backend.turns()
    assert [tool["name"] for tool in first["body"]["tools"]] == ["transfer_to_Weather"]
    assert "You know the weather." in json.dumps(second["body"])


@exercises("schemas")
def test_structured_output(sdk, api, backend):
    result = sdk("run", api=api, input="[sim:json-schema] Whom do I meet?", parts=["output"])
    assert set(result["output"]) == {"name", "attendees", "seats"}
    form = backend.turns()[0]["body"]["text"]["format"]
    assert (form["type"], form["strict"]) == ("json_schema", True)


@exercises("turns")
def test_a_session(sdk, api, backend):
    first, second = sdk("converse", api=api, inputs=["My name is Ada.", "Who am I?"])["results"]
    assert "Who am I?" in second["output"]
    assert texts(backend) == ["My name is Ada.", first["output"], "Who am I?"]


@exercises("images")
def test_an_image(sdk, api, backend):
    image = "https://example.com/cat.png"
    content = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image": image, "detail": "low"}]
    result = sdk("run", api=api, input=[{"role": "user", "content": content}])
    assert "What is this?" in result["output"]
    (part,) = [part for item in sent(backend, "message") for part in item["content"] if part["type"] == "input_image"]
    assert part["image_url"] == image and part["detail"] == "low"


@exercises("reasoning", "tools")
def test_reasoning(sdk, api, backend):
    settings = {"reasoning": {"effort": "high", "summary": "auto"}}
    prompt = "[sim:reasoning][sim:tool=get_weather] The weather in Paris?"
    # The name that it reads in chat replies; in the Responses API there is only one.
    headers = {"x-codex-proxy-reasoning": "reasoning"}
    result = sdk("run", api=api, headers=headers, input=prompt, modelSettings=settings, parts=["tools"])
    assert "18 °C" in result["output"]
    assert {turn["body"]["reasoning"]["effort"] for turn in backend.turns()} == {"high"}
    thoughts = [item["raw"] for item in result["items"] if item["type"] == "reasoning_item"]
    assert "Reading the question" in json.dumps(thoughts)
