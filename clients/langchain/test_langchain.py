"""LangChain's ChatOpenAI, with Chat Completions and with the Responses API."""

import asyncio

import openai
import pydantic
import pytest
from exercised import exercises
from harness import MODEL
from langchain_core.messages import AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="

both_apis = pytest.mark.parametrize("responses", [False, True], ids=["chat", "responses"])
streamed_and_whole = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def asked(model, messages, stream):
    """Returns the reply, or the sum of a stream's chunks, as added up by LangChain itself."""
    if not stream:
        return model.invoke(messages)
    total, *more = model.stream(messages)
    for chunk in more:
        total += chunk
    assert isinstance(total, AIMessageChunk)
    return total


@both_apis
@streamed_and_whole
@exercises("chat", "responses", "stream", "whole", "usage")
def test_reply(chat, backend, responses, stream):
    reply = asked(chat(responses, stream_usage=True), [SystemMessage("Speak like a sailor."), HumanMessage("What is new?")], stream)
    assert "What is new?" in reply.text
    usage = reply.usage_metadata
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0
    (turn,) = backend.turns()
    assert turn["body"]["model"] == MODEL and "Speak like a sailor." in str(turn["body"])


def test_usage_of_a_stream_has_to_be_asked_for(chat):
    assert asked(chat(), "Hello!", stream=True).usage_metadata is None


def test_async(chat):
    async def texts():
        for model in (chat(), chat(True)):
            yield "".join([chunk.text async for chunk in model.astream("Tell me.")])
            yield (await model.ainvoke("Tell me.")).text

    async def collected():
        return [text async for text in texts()]

    # One loop for everything: LangChain reuses connections, even those of a closed loop.
    found = asyncio.run(collected())
    assert len(found) == 4 and all("Tell me." in text for text in found)


@tool
def get_weather(location: str) -> str:
    """The weather at a place"""
    return f"18 °C at {location}"


@tool
def get_time(zone: str) -> str:
    """The time in a zone"""
    return f"noon in {zone}"


@both_apis
@streamed_and_whole
@pytest.mark.parametrize("version", ["v0", "v1"])
@exercises("tools", "turns")
def test_parallel_tools_and_their_answers(chat, backend, responses, stream, version):
    model = chat(responses, output_version=version).bind_tools([get_weather, get_time])
    messages = [HumanMessage("[sim:parallel-tools] The weather and the time?")]
    reply = asked(model, messages, stream)
    assert [call["name"] for call in reply.tool_calls] == ["get_weather", "get_time"] and not reply.invalid_tool_calls
    answers = [made.invoke(call) for made, call in zip([get_weather, get_time], reply.tool_calls, strict=True)]
    assert all(isinstance(answer, ToolMessage) for answer in answers)

    messages += [reply, *answers]
    reply = asked(model, messages, stream)
    assert "noon in" in reply.text or "18 °C" in reply.text
    asked(model, [*messages, reply, HumanMessage("And now?")], stream)
    items = backend.turns()[-1]["body"]["input"]
    assert [item["call_id"] for item in items if "call_id" in item] == [answer.tool_call_id for answer in answers] * 2
    assert [item["role"] for item in items if item["type"] == "message"] == ["user", "assistant", "user"]


class Event(pydantic.BaseModel):
    """An event."""

    name: str
    seats: int


@both_apis
@exercises("schemas")
def test_structured_output_by_schema(chat, backend, responses):
    assert isinstance(chat(responses).with_structured_output(Event).invoke("[sim:json-schema] An event."), Event)
    form = backend.turns()[-1]["body"]["text"]["format"]
    assert (form["type"], form["name"], form["strict"]) == ("json_schema", "Event", True)


@both_apis
def test_structured_output_by_tool(chat, backend, responses):
    model = chat(responses).with_structured_output(Event, method="function_calling")
    assert isinstance(model.invoke("[sim:tool=Event] An event."), Event)
    assert backend.turns()[-1]["body"]["tool_choice"] == {"type": "function", "name": "Event"}


@both_apis
@exercises("images")
def test_image(chat, backend, responses):
    question = [{"type": "text", "text": "What is this?"}, {"type": "image", "base64": PIXEL, "mime_type": "image/png"}]
    chat(responses).invoke([HumanMessage(question)])
    (turn,) = backend.turns()
    (sent,) = [part["image_url"] for part in turn["body"]["input"][-1]["content"] if part["type"] == "input_image"]
    assert sent == f"data:image/png;base64,{PIXEL}"


@streamed_and_whole
@exercises("reasoning", "turns")
def test_reasoning_is_shown_and_goes_back(chat, backend, stream):
    settings = {"output_version": "v1", "include": ["reasoning.encrypted_content"]}
    # `reasoning` alone chooses the Responses API.
    model = chat(None, reasoning={"effort": "high", "summary": "auto"}, **settings)
    question = HumanMessage("[sim:reasoning] Why?")
    reply = asked(model, [question], stream)
    thoughts = [block for block in reply.content_blocks if block["type"] == "reasoning"]
    assert "Reading the question" in str(thoughts) and "Reading the question" not in reply.text
    asked(model, [question, reply, HumanMessage("And then?")], stream)
    first, second = backend.turns()
    assert first["body"]["reasoning"] == {"effort": "high", "summary": "auto"}
    assert [item["type"] for item in second["body"]["input"]] == ["message", "reasoning", "message", "message"]
    assert second["body"]["input"][1]["encrypted_content"]


def test_reasoning_of_chat_completions_is_not_read(chat, backend):
    reply = chat(reasoning_effort="high").invoke("[sim:reasoning] Why?")
    assert "Reading the question" not in str(reply) and "Why?" in reply.text
    assert backend.turns()[-1]["body"]["reasoning"]["effort"] == "high"


def test_a_tool_of_the_backend(chat, backend):
    reply = chat(None, output_version="v1").bind_tools([{"type": "web_search"}]).invoke("[sim:web-search] The weather?")
    (text,) = [block for block in reply.content_blocks if block["type"] == "text"]
    (citation,) = text["annotations"]
    assert text["text"][citation["start_index"] : citation["end_index"]] == "Example Weather"
    assert {"type": "web_search"} in backend.turns()[-1]["body"]["tools"]


@both_apis
def test_sampling_parameters_are_left_out(chat, backend, responses):
    assert chat(responses, temperature=0.1, top_p=0.5, max_tokens=1000).invoke("Hello!").text
    assert not {"temperature", "top_p", "max_output_tokens"} & set(backend.turns()[-1]["body"])


@exercises("turns")
def test_a_previous_response_is_gone_on_from(chat, backend):
    model = chat(True, use_previous_response_id=True)
    first = model.invoke("[sim:reasoning] One")
    assert "Two" in model.invoke([HumanMessage("[sim:reasoning] One"), first, HumanMessage("Two")]).text
    items = backend.turns()[-1]["body"]["input"]
    assert [item["role"] for item in items if item["type"] == "message"] == ["user", "assistant", "user"]

    first.response_metadata["id"] = "resp_1"
    with pytest.raises(openai.BadRequestError) as caught:
        model.invoke([HumanMessage("One"), first, HumanMessage("Two")])
    assert caught.value.code == "previous_response_not_found"


@streamed_and_whole
@exercises("tools", "turns")
def test_tools_are_answered_by_the_id_of_the_response(chat, backend, stream):
    model = chat(True, use_previous_response_id=True).bind_tools([get_weather, get_time])
    messages = [HumanMessage("[sim:reasoning][sim:parallel-tools] The weather and the time?")]
    reply = asked(model, messages, stream)
    messages += [reply, *(made.invoke(call) for made, call in zip([get_weather, get_time], reply.tool_calls, strict=True))]
    reply = asked(model, messages, stream)
    assert "noon in" in reply.text or "18 °C" in reply.text
    kinds = [item["type"] for item in backend.turns()[-1]["body"]["input"]]
    assert kinds == ["message", "reasoning", *["function_call"] * 2, *["function_call_output"] * 2]
