"""The Responses API with openai-node."""

import json

import pytest
from exercised import exercises
from harness import MODEL, TIME, WEATHER
from node import Thrown

TOOLS = [{"type": "function", "strict": False, **tool["function"]} for tool in (WEATHER, TIME)]


@exercises("responses", "whole", "usage")
def test_whole_reply(sdk, backend):
    reply = sdk("responses", body={"model": MODEL, "input": "What is new?", "instructions": "Speak like a sailor."})
    assert reply["status"] == "completed" and "What is new?" in reply["output_text"]
    usage = reply["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0
    assert "Speak like a sailor." in json.dumps(backend.turns()[0]["body"])


@exercises("responses", "stream")
def test_stream(sdk):
    events = sdk("responsesStream", body={"model": MODEL, "input": "Tell me."})
    assert events[0]["type"] == "response.created" and events[-1]["type"] == "response.completed"
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    text = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    assert "Tell me." in text
    assert events[-1]["response"]["output"][-1]["content"][0]["text"] == text


@exercises("responses", "stream")
def test_stored_stream(sdk):
    stored = sdk("responses", body={"model": MODEL, "input": "Tell me."})
    assert sdk("responsesRetrieve", id=stored["id"], query={})["output"] == stored["output"]
    events = sdk("responsesReplay", id=stored["id"], query={})
    assert events[0]["type"] == "response.created" and events[-1]["response"]["output"] == stored["output"]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert sdk("responsesReplay", id=stored["id"], query={"starting_after": 3}) == events[4:]


@exercises("responses", "stream", "reasoning")
def test_stream_helper(sdk, backend):
    body = {"model": MODEL, "input": "[sim:reasoning] Tell me.", "reasoning": {"effort": "high", "summary": "auto"}}
    done = sdk("responsesHelper", body=body)
    assert done["final"]["status"] == "completed" and done["final"]["output_text"] == done["text"] != ""
    reasoning, message = done["final"]["output"]
    assert (reasoning["type"], message["type"]) == ("reasoning", "message")
    assert "Reading the question" in reasoning["summary"][0]["text"]
    assert backend.turns()[0]["body"]["reasoning"]["effort"] == "high"


@exercises("schemas")
def test_parse(sdk, backend):
    parsed = sdk("responsesParse", body={"model": MODEL, "input": "[sim:json-schema] Whom do I meet?"})
    assert set(parsed) == {"name", "attendees", "seats"}
    assert backend.turns()[0]["body"]["text"]["format"]["name"] == "event"


@exercises("schemas", "tools")
def test_parse_a_call(sdk):
    assert sdk("responsesParseTool", body={"model": MODEL, "input": "[sim:tool=get_weather] The weather?"})["location"]


@pytest.mark.parametrize("way", ["replayed", "previous_response_id"])
@exercises("responses", "tools", "turns")
def test_parallel_tools_and_what_follows(sdk, backend, way):
    question = {"role": "user", "content": "[sim:parallel-tools] The weather and the time?"}
    first = sdk("responses", body={"model": MODEL, "input": [question], "tools": TOOLS})
    calls = [item for item in first["output"] if item["type"] == "function_call"]
    assert [call["name"] for call in calls] == ["get_weather", "get_time"]

    outputs = [{"type": "function_call_output", "call_id": call["call_id"], "output": call["name"]} for call in calls]
    if way == "replayed":
        body = {"input": [question, *first["output"], *outputs]}
    else:
        body = {"input": outputs, "previous_response_id": first["id"]}
    second = sdk("responses", body={"model": MODEL, "tools": TOOLS, **body})
    assert "get_time" in second["output_text"]

    sent = [item.get("call_id") for item in backend.turns()[-1]["body"]["input"] if "call_id" in item]
    assert sent == [call["call_id"] for call in calls] * 2


@exercises("images")
def test_image_input(sdk, backend):
    part = {"type": "input_image", "image_url": "https://example.com/cat.png", "detail": "low"}
    content = [{"type": "input_text", "text": "What is this?"}, part]
    reply = sdk("responses", body={"model": MODEL, "input": [{"role": "user", "content": content}]})
    assert "What is this?" in reply["output_text"]
    assert part in [part for item in backend.turns()[0]["body"]["input"] for part in item["content"]]


def test_an_incomplete_reply_says_why(sdk):
    reply = sdk("responses", body={"model": MODEL, "input": "[sim:incomplete-max-tokens] Go on."})
    assert reply["status"] == "incomplete" and reply["incomplete_details"]["reason"] == "max_output_tokens"


@exercises("responses", "websocket", "stream", "turns")
def test_over_a_websocket(sdk, backend):
    first, second = sdk("socket", body={"model": MODEL}, inputs=["My name is Ada.", "Who am I?"])
    assert "Ada" in first["text"] and "Who am I?" in second["text"]
    assert [answer["last"]["type"] for answer in (first, second)] == ["response.completed"] * 2
    sent = [item for item in backend.turns()[-1]["body"]["input"] if item["type"] == "message"]
    assert [item["role"] for item in sent] == ["user", "assistant", "user"]


@exercises("failures", "websocket")
def test_an_error_over_a_websocket(sdk, backend):
    with pytest.raises(Thrown) as caught:
        sdk("socket", body={"model": MODEL}, inputs=["[sim:429-usage] Hello!"])
    assert "usage limit has been reached" in caught.value.message
    assert len(backend.turns()) == 1


@exercises("responses", "websocket", "stream")
def test_lanes_of_a_websocket(sdk):
    events = sdk("lanes", body={"model": MODEL}, inputs={"main": "[sim:big=20][sim:delay=20] Slowly.", "side": "Quickly."})
    ended = [event["stream_id"] for event in events if event["type"] == "response.completed"]
    assert ended == ["side", "main"]
    for lane in ended:
        own = [event for event in events if event["stream_id"] == lane]
        assert [event["sequence_number"] for event in own] == list(range(len(own)))
        assert own[0]["type"] == "response.created"


@exercises("responses", "websocket", "stream", "turns")
def test_a_running_response_is_steered(sdk, backend):
    body = {"model": MODEL, "input": "[sim:text=one][sim:big=20][sim:delay=20] Count."}
    events = sdk("steer", body=body, input="Rather in French.")
    (accepted,) = [event for event in events if event["type"] == "response.steer.accepted"]
    first, second = [event["response"]["id"] for event in events if event["type"] == "response.created"]
    assert accepted["steer"]["previous_response_id"] == first != second
    assert "Rather in French." in json.dumps(backend.turns()[-1]["body"]["input"][-1])
