"""The Responses API with openai-python."""

import json

import openai
import pydantic
import pytest
from exercised import exercises
from harness import MODEL, WEATHER

TOOL = {"type": "function", "strict": False, **WEATHER["function"]}


@exercises("responses", "whole", "usage")
def test_whole_reply(client):
    reply = client.responses.create(model=MODEL, input="What is new?")
    assert reply.status == "completed" and "What is new?" in reply.output_text
    assert reply.usage.total_tokens == reply.usage.input_tokens + reply.usage.output_tokens > 0


@exercises("responses", "stream")
def test_stream(client):
    events = list(client.responses.create(model=MODEL, input="Tell me.", stream=True))
    assert events[0].type == "response.created" and events[-1].type == "response.completed"
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert "Tell me." in text
    assert events[-1].response.output_text == text, "the last event holds the whole output"


@exercises("responses", "stream")
def test_stored_stream(client):
    stored = client.responses.create(model=MODEL, input="Tell me.", metadata={"trace": "1"})
    assert client.responses.retrieve(stored.id) == stored and stored.metadata == {"trace": "1"}
    events = list(client.responses.retrieve(stored.id, stream=True))
    assert events[0].type == "response.created" and events[-1].response == stored
    assert [event.sequence_number for event in events] == list(range(len(events)))
    rest = list(client.responses.retrieve(stored.id, stream=True, starting_after=3))
    assert rest == events[4:]
    listed = client.responses.input_items.list(stored.id).data
    reference = {"type": "item_reference", "id": listed[0].id}
    assert "Tell me." in client.responses.create(model=MODEL, input=[reference]).output_text


@exercises("responses", "turns", "images")
def test_an_image_is_edited_by_its_id(client, backend):
    drawn = client.responses.create(model=MODEL, input="[sim:image] A fox", tools=[{"type": "image_generation"}])
    (image,) = [item for item in drawn.output if item.type == "image_generation_call"]
    blue = [{"role": "user", "content": "Make it blue."}, {"type": "image_generation_call", "id": image.id}]
    client.responses.create(model=MODEL, input=blue)
    (sent,) = [item for item in backend.turns()[-1]["body"]["input"] if item["type"] == "image_generation_call"]
    assert sent["result"] == image.result and "id" not in sent

    blue[1]["id"] = "ig_1"
    with pytest.raises(openai.NotFoundError, match="ig_1"):
        client.responses.create(model=MODEL, input=blue)
    assert len(backend.turns()) == 2


@exercises("responses", "turns", "tools")
def test_references_beside_a_previous_response(client, backend):
    first = client.responses.create(model=MODEL, input="[sim:tool=get_weather] The weather in Paris?", tools=[TOOL])
    (call,) = [item for item in first.output if item.type == "function_call"]
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "18 °C"}
    twice = {"type": "item_reference", "id": call.id}
    more = {"model": MODEL, "tools": [TOOL], "previous_response_id": first.id}
    assert "18 °C" in client.responses.create(**more, input=[twice, twice, output]).output_text
    kinds = [item["type"] for item in backend.turns()[-1]["body"]["input"]]
    assert kinds == ["message", "reasoning", "function_call", "function_call_output"]

    # Upon this error clients send the whole conversation.
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(**more, input=[{"type": "item_reference", "id": "fc_1"}, output])
    assert caught.value.code == "previous_response_not_found" and "fc_1" in caught.value.message


@exercises("stream", "reasoning")
def test_stream_helper(client):
    with client.responses.stream(model=MODEL, input="[sim:reasoning] Tell me.", reasoning={"summary": "auto"}) as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert final.status == "completed" and final.output_text == text
    assert [item.type for item in final.output] == ["reasoning", "message"]


@exercises("tools", "turns")
def test_tool_round_trip(client, backend):
    question = {"role": "user", "content": "[sim:tool=get_weather] The weather in Paris?"}
    first = client.responses.create(model=MODEL, input=[question], tools=[TOOL])
    (call,) = [item for item in first.output if item.type == "function_call"]
    assert call.name == "get_weather" and isinstance(json.loads(call.arguments)["location"], str)

    output = {"type": "function_call_output", "call_id": call.call_id, "output": "18 °C"}
    second = client.responses.create(model=MODEL, input=[question, *first.output, output], tools=[TOOL])
    assert "18 °C" in second.output_text
    sent = [item for item in backend.turns()[-1]["body"]["input"] if item.get("call_id")]
    assert {item["call_id"] for item in sent} == {call.call_id}


@exercises("tools", "stream")
def test_tool_stream(client):
    stream = client.responses.create(model=MODEL, input="[sim:tool] The weather?", tools=[TOOL], stream=True)
    events = list(stream)
    deltas = "".join(event.delta for event in events if event.type == "response.function_call_arguments.delta")
    (done,) = [event for event in events if event.type == "response.function_call_arguments.done"]
    assert deltas == done.arguments and json.loads(deltas)


class Answer(pydantic.BaseModel):
    city: str
    degrees: float


@exercises("schemas")
def test_parse(client):
    reply = client.responses.parse(model=MODEL, input="[sim:json-schema] The weather?", text_format=Answer)
    assert isinstance(reply.output_parsed, Answer)


def test_instructions_and_unsupported_parameters(client, backend):
    reply = client.responses.with_raw_response.create(
        model=MODEL, input="Hello!", instructions="Speak like a sailor.", max_output_tokens=1000, store=True, temperature=1
    )
    assert reply.parse().status == "completed"
    sent = backend.turns()[-1]["body"]
    assert "Speak like a sailor." in json.dumps(sent) and sent["store"] is False
    assert not {"max_output_tokens", "temperature"} & set(sent)


def test_an_incomplete_reply_says_why(client):
    reply = client.responses.create(model=MODEL, input="[sim:incomplete-max-tokens] Go on.")
    assert reply.status == "incomplete" and reply.incomplete_details.reason == "max_output_tokens"


def test_a_failed_reply_ends_the_stream_as_failed(client):
    events = list(client.responses.create(model=MODEL, input="[sim:text=Hello][sim:failed=server_error] Go.", stream=True))
    assert events[-1].type == "response.failed" and events[-1].response.error.code == "server_error"


@exercises("turns")
def test_compact(client, backend):
    conversation = [{"role": "user", "content": "My name is Ada."}, {"role": "assistant", "content": "Hello, Ada."}]
    compacted = client.responses.compact(model=MODEL, input=conversation)
    assert compacted.object == "response.compaction" and compacted.output[-1].type == "compaction"
    assert compacted.usage.total_tokens > 0
    more = [*[item.model_dump(exclude_none=True) for item in compacted.output], {"role": "user", "content": "And now?"}]
    reply = client.responses.create(model=MODEL, input=more)
    assert "And now?" in reply.output_text
    sent = backend.turns()[-1]["body"]["input"]
    assert sent[0]["type"] == "compaction" and sent[0]["encrypted_content"] == compacted.output[-1].encrypted_content
