"""Pydantic AI's agents, with Chat Completions and with the Responses API."""

import asyncio
import base64

import pydantic
import pytest
from exercised import exercises
from harness import MODEL
from pydantic_ai import Agent, BinaryContent, ImageUrl, NativeOutput
from pydantic_ai.exceptions import ModelRequestRejectedError
from pydantic_ai.messages import ThinkingPart
from pydantic_ai.models.openai import OpenAIResponsesModel

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


@exercises("chat", "responses", "whole", "usage")
def test_run(model, backend):
    result = Agent(model, instructions="Speak like a sailor.").run_sync("What is new?")
    assert "What is new?" in result.output and result.response.finish_reason == "stop"
    assert result.usage.input_tokens > 0 and result.usage.output_tokens > 0
    (turn,) = backend.turns()
    assert turn["body"]["model"] == MODEL and "Speak like a sailor." in str(turn["body"])


@exercises("chat", "responses", "stream", "usage")
def test_stream(model):
    async def streamed():
        async with Agent(model).run_stream("Tell me.") as result:
            return [text async for text in result.stream_text(delta=True, debounce_by=None)], result.usage

    texts, usage = asyncio.run(streamed())
    assert len(texts) > 1 and "Tell me." in "".join(texts) and usage.output_tokens > 0


class Answered:
    """An agent with two tools, and the places and zones they were called with."""

    def __init__(self, model):
        self.agent, self.asked = Agent(model), []
        self.agent.tool_plain(self.get_weather)
        self.agent.tool_plain(self.get_time)

    def get_weather(self, location: str) -> str:
        """The weather at a place"""
        self.asked.append(location)
        return "18 °C"

    def get_time(self, zone: str) -> str:
        """The time in a zone"""
        self.asked.append(zone)
        return "18 o'clock"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@exercises("tools", "turns")
def test_parallel_tools_and_a_history(model, api, backend, stream):
    answered = Answered(model)

    async def run(prompt, history):
        if not stream:
            result = await answered.agent.run(prompt, message_history=history)
            return result.output, result.all_messages()
        async with answered.agent.run_stream(prompt, message_history=history) as result:
            return await result.get_output(), result.all_messages()

    async def both():
        text, history = await run("[sim:parallel-tools] The weather and the time?", None)
        return text, (await run("And now?", history))[0]

    first, second = asyncio.run(both())
    assert "18" in first and "And now?" in second and len(answered.asked) == 2
    calls, answers, last = backend.turns()
    items = last["body"]["input"]
    ids = [item["call_id"] for item in items if item["type"] == "function_call"]
    assert [item["call_id"] for item in items if item["type"] == "function_call_output"] == ids and len(ids) == 2
    # Reasoning is returned before the items it led to; Chat Completions cannot carry it.
    thoughts = [item for item in items if item["type"] == "reasoning"]
    assert len(thoughts) == (2 if api is OpenAIResponsesModel else 0) and all(item["encrypted_content"] for item in thoughts)


class Event(pydantic.BaseModel):
    name: str
    seats: int


@exercises("schemas", "tools")
def test_output_by_a_tool(model, backend):
    assert isinstance(Agent(model, output_type=Event).run_sync("[sim:tool=final_result] An event.").output, Event)
    (turn,) = backend.turns()
    assert turn["body"]["tool_choice"] == "required" and [tool["strict"] for tool in turn["body"]["tools"]] == [True]


@exercises("schemas")
def test_output_by_a_schema(model, backend):
    assert isinstance(Agent(model, output_type=NativeOutput(Event)).run_sync("[sim:json-schema] An event.").output, Event)
    form = backend.turns()[-1]["body"]["text"]["format"]
    assert (form["type"], form["name"], form["strict"]) == ("json_schema", "Event", True)


@exercises("images")
def test_images(model, backend):
    pixel = BinaryContent(base64.b64decode(PIXEL), media_type="image/png")
    Agent(model).run_sync(["What is this?", pixel, ImageUrl("https://example.com/cat.png")])
    (turn,) = backend.turns()
    sent = [part["image_url"] for part in turn["body"]["input"][-1]["content"] if part["type"] == "input_image"]
    assert sent == [f"data:image/png;base64,{PIXEL}", "https://example.com/cat.png"]


@exercises("reasoning")
def test_reasoning(model, backend):
    settings = {"openai_reasoning_effort": "high", "openai_reasoning_summary": "auto"}
    result = Agent(model, model_settings=settings).run_sync("[sim:reasoning] Why?")
    thoughts = [part.content for part in result.response.parts if isinstance(part, ThinkingPart)]
    assert "Reading the question" in thoughts[0] and "Reading the question" not in result.output
    assert backend.turns()[-1]["body"]["reasoning"] == {"effort": "high", "summary": "auto"}


@pytest.mark.parametrize("api", [OpenAIResponsesModel], indirect=True)
@exercises("turns")
def test_a_previous_response_is_gone_on_from(model, backend):
    agent = Agent(model, model_settings={"openai_previous_response_id": "auto"})
    first = agent.run_sync("One")
    assert "Two" in agent.run_sync("Two", message_history=first.all_messages()).output
    items = backend.turns()[-1]["body"]["input"]
    assert [item["role"] for item in items if item["type"] == "message"] == ["user", "assistant", "user"]

    with pytest.raises(ModelRequestRejectedError, match="previous_response_not_found"):
        Agent(model, model_settings={"openai_previous_response_id": "resp_1"}).run_sync("Hello!")
