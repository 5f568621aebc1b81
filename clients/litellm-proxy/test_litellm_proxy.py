"""LiteLLM's proxy server in front of this one, with openai-python in front of that."""

import json

import pydantic
import pytest
from exercised import exercises
from harness import MODEL, TIME, WEATHER, ask

PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
CODEX = "gpt-5.1-codex-max"


@pytest.mark.parametrize("model", [MODEL, CODEX])
@exercises("chat", "stream", "whole", "usage")
def test_chat(client, backend, model):
    body = {**ask(text="What is new?"), "model": model}
    reply = client.chat.completions.create(**body)
    assert "What is new?" in reply.choices[0].message.content and reply.choices[0].finish_reason == "stop"
    assert reply.usage.total_tokens > 0

    chunks = list(client.chat.completions.create(**body, stream=True, stream_options={"include_usage": True}))
    choices = [choice for chunk in chunks for choice in chunk.choices]
    assert "".join(choice.delta.content or "" for choice in choices) == reply.choices[0].message.content
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["stop"]
    assert chunks[-1].usage.total_tokens == reply.usage.total_tokens
    assert [turn["body"]["model"] for turn in backend.turns()] == [model, model]


@exercises("responses", "stream", "whole", "usage")
def test_responses(client, backend):
    reply = client.responses.create(model=MODEL, input="What is new?")
    assert reply.status == "completed" and "What is new?" in reply.output_text and reply.usage.total_tokens > 0
    events = list(client.responses.create(model=MODEL, input="What is new?", stream=True))
    assert events[0].type == "response.created" and events[-1].type == "response.completed"
    assert events[-1].response.output_text == reply.output_text
    assert len(backend.turns()) == 2


@pytest.mark.parametrize("stream", [False, True])
@exercises("tools", "turns")
def test_parallel_tools_and_their_answers(client, backend, stream):
    body = ask("parallel-tools", tools=[WEATHER, TIME])
    if stream:
        with client.chat.completions.stream(**body) as events:
            choice = events.until_done().get_final_completion().choices[0]
    else:
        choice = client.chat.completions.create(**body).choices[0]
    calls = choice.message.tool_calls
    assert ([call.function.name for call in calls], choice.finish_reason) == (["get_weather", "get_time"], "tool_calls")
    assert [set(json.loads(call.function.arguments)) for call in calls] == [{"location"}, {"zone"}]

    made = [{"id": call.id, "type": "function", "function": {"name": call.function.name, "arguments": call.function.arguments}} for call in calls]
    body["messages"] += [{"role": "assistant", "content": None, "tool_calls": made}]
    body["messages"] += [{"role": "tool", "tool_call_id": call.id, "content": "18 °C"} for call in calls]
    assert "18 °C" in client.chat.completions.create(**body).choices[0].message.content
    sent = [item["call_id"] for item in backend.turns()[-1]["body"]["input"] if "call_id" in item]
    assert sent == [call.id for call in calls] * 2


@exercises("responses", "tools", "turns")
def test_a_tool_of_the_responses_api(client, backend):
    tool = {"type": "function", "strict": False, **WEATHER["function"]}
    question = {"role": "user", "content": "[sim:tool=get_weather] The weather in Paris?"}
    first = client.responses.create(model=MODEL, input=[question], tools=[tool])
    (call,) = [item for item in first.output if item.type == "function_call"]
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "18 °C"}
    second = client.responses.create(model=MODEL, input=[question, *first.output, output], tools=[tool])
    assert "18 °C" in second.output_text
    assert [item["call_id"] for item in backend.turns()[-1]["body"]["input"] if "call_id" in item] == [call.call_id] * 2


@exercises("images")
def test_image(client, backend):
    content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": content}])
    (turn,) = backend.turns()
    assert [part["image_url"] for part in turn["body"]["input"][0]["content"] if part["type"] == "input_image"] == [PIXEL]


class Event(pydantic.BaseModel):
    name: str
    seats: int


@exercises("schemas")
def test_structured_output(client, backend):
    reply = client.chat.completions.parse(**ask("json-schema"), response_format=Event)
    assert isinstance(reply.choices[0].message.parsed, Event)
    assert backend.turns()[-1]["body"]["text"]["format"]["name"] == "Event"


@exercises("reasoning")
def test_reasoning(client, backend):
    message = client.chat.completions.create(**ask("reasoning"), reasoning_effort="high").choices[0].message
    assert "Reading the question" in message.reasoning_content and "Reading the question" not in message.content
    assert backend.turns()[-1]["body"]["reasoning"]["effort"] == "high"


def test_parameters_of_other_models_are_dropped(client, backend):
    reply = client.chat.completions.create(**{**ask(), "model": "gpt-5.5"}, temperature=0.2)
    assert reply.choices[0].finish_reason == "stop" and "temperature" not in backend.turns()[-1]["body"]


@exercises("models")
def test_the_listed_models_can_be_used(client, backend):
    listed = [model.id for model in client.models.list()]
    assert {f"openai/{MODEL}", "openai/gpt-5.5"} <= set(listed)
    reply = client.chat.completions.create(**{**ask(), "model": f"openai/{MODEL}"})
    assert reply.choices[0].finish_reason == "stop" and backend.turns()[-1]["body"]["model"] == MODEL
