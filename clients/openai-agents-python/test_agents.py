"""Agents of the OpenAI Agents SDK for Python, on models of both APIs."""

import asyncio
import json

import pydantic
import pytest
from agents import Agent, ModelSettings, Runner, SQLiteSession, function_tool
from exercised import exercises
from openai.types.shared import Reasoning

pytestmark = exercises("chat", "responses")


@function_tool
def get_weather(location: str) -> str:
    """The weather at a place."""
    return f"18 °C at {location}"


@function_tool
def get_time(zone: str) -> str:
    """The time in a zone."""
    return f"noon in {zone}"


def sent(backend, kind):
    """Returns the items of one kind in the last request."""
    return [item for item in backend.turns()[-1]["body"]["input"] if item["type"] == kind]


@exercises("whole", "usage")
def test_an_answer(model, backend):
    result = Runner.run_sync(Agent("Sailor", model=model, instructions="Speak like a sailor."), "What is new?")
    assert "What is new?" in result.final_output
    usage = result.context_wrapper.usage
    assert usage.requests == 1 and usage.total_tokens == usage.input_tokens + usage.output_tokens > 0
    (turn,) = backend.turns()
    assert "Speak like a sailor." in json.dumps(turn["body"]) and turn["body"]["store"] is False


async def stream(agent, prompt):
    """Returns what is streamed: the text, and the names of the run's items."""
    text, items = "", []
    result = Runner.run_streamed(agent, prompt)
    async for event in result.stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            text += event.data.delta
        elif event.type == "run_item_stream_event":
            items.append(event.name)
    return text, items, result


@exercises("stream", "usage")
def test_a_stream(model):
    settings = ModelSettings(include_usage=True)
    text, items, result = asyncio.run(stream(Agent("Sailor", model=model, model_settings=settings), "Tell me."))
    assert "Tell me." in text and result.final_output == text
    assert items[-1] == "message_output_created" and result.context_wrapper.usage.total_tokens > 0


@pytest.mark.parametrize("streamed", [False, True])
@exercises("stream", "whole", "tools", "turns")
def test_tools(model, backend, streamed):
    agent = Agent("Forecaster", model=model, tools=[get_weather, get_time])
    prompt = "[sim:parallel-tools] The weather and the time?"
    if streamed:
        text, items, result = asyncio.run(stream(agent, prompt))
        assert text == result.final_output
        called = [item for item in items if item.startswith("tool")]
        assert sorted(called) == ["tool_called", "tool_called", "tool_output", "tool_output"]
    else:
        result = Runner.run_sync(agent, prompt)
    assert "noon" in result.final_output
    assert [call["name"] for call in sent(backend, "function_call")] == ["get_weather", "get_time"]
    assert [item["call_id"] for item in sent(backend, "function_call_output")] == [
        item["call_id"] for item in sent(backend, "function_call")
    ]


@exercises("tools", "turns")
def test_a_hand_off(model, backend):
    weather = Agent("Weather", model=model, instructions="You know the weather.")
    desk = Agent("Desk", model=model, instructions="Hand over.", handoffs=[weather])
    result = Runner.run_sync(desk, "[sim:tool=transfer_to_weather] The weather in Paris?")
    assert result.last_agent.name == "Weather" and "Weather" in result.final_output
    first, second = backend.turns()
    assert [tool["name"] for tool in first["body"]["tools"]] == ["transfer_to_weather"]
    assert "You know the weather." in json.dumps(second["body"])


class Meeting(pydantic.BaseModel):
    name: str
    attendees: list[str]
    seats: int


@exercises("schemas")
def test_structured_output(model, backend):
    agent = Agent("Secretary", model=model, output_type=Meeting)
    result = Runner.run_sync(agent, "[sim:json-schema] Whom do I meet?")
    assert isinstance(result.final_output, Meeting)
    form = backend.turns()[0]["body"]["text"]["format"]
    assert (form["type"], form["strict"]) == ("json_schema", True)


@exercises("turns")
def test_a_session(model, backend):
    agent, session = Agent("Friend", model=model), SQLiteSession("ada")
    first = Runner.run_sync(agent, "My name is Ada.", session=session)
    second = Runner.run_sync(agent, "Who am I?", session=session)
    assert "Who am I?" in second.final_output
    texts = [part["text"] for item in sent(backend, "message") for part in item["content"]]
    assert texts == ["My name is Ada.", first.final_output, "Who am I?"]


@exercises("images")
def test_an_image(model, backend):
    image = {"type": "input_image", "image_url": "https://example.com/cat.png", "detail": "low"}
    content = [{"type": "input_text", "text": "What is this?"}, image]
    result = Runner.run_sync(Agent("Critic", model=model), [{"role": "user", "content": content}])
    assert "What is this?" in result.final_output
    assert image in [part for item in sent(backend, "message") for part in item["content"]]


@exercises("reasoning", "tools")
def test_reasoning(model, backend):
    settings = ModelSettings(reasoning=Reasoning(effort="high", summary="auto"))
    agent = Agent("Thinker", model=model, model_settings=settings, tools=[get_weather])
    result = Runner.run_sync(agent, "[sim:reasoning][sim:tool=get_weather] The weather in Paris?")
    assert "18 °C" in result.final_output
    assert {turn["body"]["reasoning"]["effort"] for turn in backend.turns()} == {"high"}
    thoughts = [item.raw_item for item in result.new_items if item.type == "reasoning_item"]
    assert any("Reading the question" in part.text for thought in thoughts for part in thought.summary)
