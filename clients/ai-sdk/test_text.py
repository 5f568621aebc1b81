"""generateText and streamText of the AI SDK, with each of its providers."""

import json

import pytest
from exercised import exercises

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/XFstLwAAAABJRU5ErkJggg=="


def user(*content):
    return [{"role": "user", "content": list(content)}]


@exercises("whole", "usage")
def test_generate(sdk, backend, provider):
    reply = sdk("generate", provider=provider, prompt="What is new?", instructions="Speak like a sailor.")
    assert "What is new?" in reply["text"] and reply["finish"] == "stop"
    usage = reply["usage"]
    assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"] > 0
    (turn,) = backend.turns()
    assert turn["body"]["store"] is False and "Speak like a sailor." in json.dumps(turn["body"])


@exercises("stream", "usage")
def test_stream(sdk, provider):
    reply = sdk("stream", provider=provider, prompt="Tell me.")
    kinds = [part["type"] for part in reply["parts"]]
    assert kinds[0] == "start" and kinds[-1] == "finish" and "error" not in kinds
    deltas = [part["text"] for part in reply["parts"] if part["type"] == "text-delta"]
    assert len(deltas) > 1 and "".join(deltas) == reply["text"] and "Tell me." in reply["text"]
    assert reply["finish"] == "stop" and reply["usage"]["outputTokens"] > 0


@pytest.mark.parametrize("call", ["generate", "stream"])
@exercises("stream", "whole", "tools", "turns")
def test_tools_in_steps(sdk, backend, provider, call):
    reply = sdk(call, provider=provider, prompt="[sim:parallel-tools] The weather and the time?", usesTools=True)
    assert "noon" in reply["text"] and reply["finish"] == "stop"
    first, last = reply["steps"]
    assert [made["toolName"] for made in first["toolCalls"]] == ["get_weather", "get_time"]
    assert sorted(result["output"] for result in first["toolResults"]) == ["18 °C", "noon"] and not last["toolCalls"]
    assert not any(made.get("invalid") for made in first["toolCalls"])

    sent = [item for item in backend.turns()[-1]["body"]["input"] if "call_id" in item]
    ids = [made["toolCallId"] for made in first["toolCalls"]]
    assert [(item["type"], item["call_id"]) for item in sent] == [
        *[("function_call", id) for id in ids], *[("function_call_output", id) for id in ids]
    ]


@exercises("turns")
def test_a_second_question(sdk, backend, provider):
    first = sdk("generate", provider=provider, messages=user({"type": "text", "text": "My name is Ada."}))
    conversation = [*user({"type": "text", "text": "My name is Ada."}), *first["messages"]]
    second = sdk("generate", provider=provider, messages=[*conversation, *user({"type": "text", "text": "Who am I?"})])
    assert "Who am I?" in second["text"]
    sent = backend.turns()[-1]["body"]["input"]
    texts = [part["text"] for item in sent if item["type"] == "message" for part in item["content"]]
    assert texts == ["My name is Ada.", first["text"], "Who am I?"]


@pytest.mark.parametrize("call", ["output", "object"])
@exercises("schemas", "whole")
def test_an_object(sdk, backend, provider, call):
    assert set(sdk(call, provider=provider, prompt="[sim:json-schema] Whom do I meet?")) == {"name", "attendees", "seats"}
    form = backend.turns()[0]["body"]["text"]["format"]
    assert (form["type"], form["name"]) == ("json_schema", "event")


@exercises("schemas", "stream")
def test_an_object_streamed(sdk, provider):
    reply = sdk("outputStream", provider=provider, prompt="[sim:json-schema] Whom do I meet?")
    assert set(reply["output"]) == {"name", "attendees", "seats"}
    assert len(reply["partial"]) > 1 and reply["partial"][-1] == reply["output"]


@pytest.mark.parametrize("image", [PIXEL, "https://example.com/cat.png"], ids=["data", "url"])
@exercises("images")
def test_image_input(sdk, backend, provider, image):
    part = {"type": "file", "mediaType": "image/png" if image is PIXEL else "image", "data": image}
    reply = sdk("generate", provider=provider, messages=user({"type": "text", "text": "What is this?"}, part))
    assert "What is this?" in reply["text"]
    parts = [part for item in backend.turns()[0]["body"]["input"] for part in item["content"]]
    (found,) = [part["image_url"] for part in parts if part["type"] == "input_image"]
    assert found == (f"data:image/png;base64,{PIXEL}" if image is PIXEL else image)


@pytest.mark.parametrize("call", ["generate", "stream"])
@exercises("reasoning", "usage")
def test_reasoning(sdk, backend, provider, call):
    asked = {"openai": {"reasoningSummary": "auto"}, "codex-proxy": {"reasoningSummary": "auto"}}
    reply = sdk(call, provider=provider, prompt="[sim:reasoning] Tell me.", reasoning="high", providerOptions=asked)
    assert backend.turns()[0]["body"]["reasoning"]["effort"] == "high"
    assert reply["usage"]["outputTokenDetails"]["reasoningTokens"] > 0
    assert "Reading the question" not in reply["text"]
    if provider != "chat":  # It never reads reasoning from chat replies.
        assert "Reading the question" in reply["reasoning"]


@pytest.mark.parametrize(
    "scenario, finish", [("incomplete-max-tokens", "length"), ("incomplete-content-filter", "content-filter")]
)
@exercises("failures")
def test_an_incomplete_reply_says_why(sdk, provider, scenario, finish):
    assert sdk("generate", provider=provider, prompt=f"[sim:{scenario}] Go on.")["finish"] == finish
    assert sdk("stream", provider=provider, prompt=f"[sim:{scenario}] Go on.")["finish"] == finish
