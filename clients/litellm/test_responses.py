"""`litellm.responses` with `openai/<model>`."""

import asyncio
import json

import litellm
import pydantic
import pytest
from exercised import exercises
from harness import MODEL, WEATHER

CODEX = "gpt-5.1-codex-max"


def ask(scenario="", text="Hello!", model=MODEL, **more):
    words = "".join(f"[sim:{word}]" for word in scenario.split())
    return {"model": f"openai/{model}", "input": f"{words} {text}", **more}


def text_of(reply):
    return "".join(part.text for item in reply.output if item.type == "message" for part in item.content)


@pytest.mark.parametrize("model", [MODEL, CODEX])
@exercises("responses", "whole", "usage")
def test_whole_reply(here, backend, model):
    reply = litellm.responses(**ask(text="What is new?", model=model), max_output_tokens=1000, user="u" * 80, **here)
    assert reply.status == "completed" and "What is new?" in text_of(reply)
    assert reply.usage.total_tokens == reply.usage.input_tokens + reply.usage.output_tokens > 0
    sent = backend.turns()[-1]["body"]
    assert sent["model"] == model and not {"max_output_tokens", "user"} & set(sent)


@exercises("responses", "stream")
def test_stream(here):
    events = list(litellm.responses(**ask(text="Tell me."), stream=True, **here))
    assert events[0].type == "response.created" and events[-1].type == "response.completed"
    assert "Tell me." in "".join(event.delta for event in events if event.type == "response.output_text.delta")


@pytest.mark.parametrize("stream", [False, True])
def test_async(here, stream):
    async def last():
        reply = await litellm.aresponses(**ask(text="Tell me."), stream=stream, **here)
        return [event async for event in reply][-1].response if stream else reply

    assert "Tell me." in text_of(asyncio.run(last()))


# LiteLLM passes both forms through unchanged: that of Chat Completions and that of the Responses API.
@pytest.mark.parametrize("tool", [WEATHER, {"type": "function", **WEATHER["function"]}], ids=["nested", "flat"])
@exercises("tools", "turns")
def test_tool_and_its_answer(here, backend, tool):
    question = {"role": "user", "content": "[sim:tool=get_weather] The weather in Paris?"}
    first = litellm.responses(model=f"openai/{MODEL}", input=[question], tools=[tool], **here)
    (call,) = [item for item in first.output if item.type == "function_call"]
    assert call.name == "get_weather" and json.loads(call.arguments)["location"]

    output = {"type": "function_call_output", "call_id": call.call_id, "output": "18 °C"}
    items = [item.model_dump(exclude_none=True) for item in first.output]
    second = litellm.responses(model=f"openai/{MODEL}", input=[question, *items, output], tools=[tool], **here)
    assert "18 °C" in text_of(second)
    sent = [item["call_id"] for item in backend.turns()[-1]["body"]["input"] if "call_id" in item]
    assert sent == [call.call_id] * 2


@exercises("reasoning")
def test_reasoning(here, backend):
    reply = litellm.responses(**ask("reasoning"), reasoning={"effort": "high", "summary": "auto"}, **here)
    (thought,) = [item for item in reply.output if item.type == "reasoning"]
    assert "Reading the question" in str(thought.summary[0])
    assert backend.turns()[-1]["body"]["reasoning"] == {"effort": "high", "summary": "auto"}


class Answer(pydantic.BaseModel):
    city: str
    degrees: float


@exercises("schemas")
def test_a_text_format_of_pydantic(here, backend):
    reply = litellm.responses(**ask("json-schema"), text_format=Answer, **here)
    assert isinstance(Answer.model_validate_json(text_of(reply)), Answer)
    assert backend.turns()[-1]["body"]["text"]["format"]["name"] == "Answer"


@exercises("turns")
def test_a_previous_response_is_gone_on_from(here, backend):
    first = litellm.responses(**ask(text="One"), **here)
    assert "Two" in text_of(litellm.responses(**ask(text="Two"), previous_response_id=first.id, **here))
    items = backend.turns()[-1]["body"]["input"]
    assert [item["role"] for item in items if item["type"] == "message"] == ["user", "assistant", "user"]

    with pytest.raises(litellm.BadRequestError, match="previous_response_not_found"):
        litellm.responses(**ask(), previous_response_id="resp_1", **here)


def test_a_conversation_made_short(here):
    compacted = litellm.compact_responses(model=f"openai/{MODEL}", input="My name is Ada.", **here)
    assert compacted.output[-1].type == "compaction" and compacted.output[-1].encrypted_content
