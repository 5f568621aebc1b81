"""`litellm.completion` with `openai/<model>`: Chat Completions, and the Responses API for Codex models."""

import asyncio
import json

import litellm
import pydantic
import pytest
from exercised import exercises
from harness import MODEL, TIME, WEATHER, ask

# LiteLLM uses the Responses API for these names and returns Chat Completions.
CODEX = "gpt-5.1-codex-max"
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="

both_apis = pytest.mark.parametrize("model", [MODEL, CODEX])
streamed_and_whole = pytest.mark.parametrize("stream", [False, True])


def chat(scenario="", text="Hello!", model=MODEL, **more):
    return {**ask(scenario, text, **more), "model": f"openai/{model}"}


def folded(chunks):
    """Returns the complete reply of a stream, assembled by LiteLLM itself."""
    return litellm.stream_chunk_builder(list(chunks))


@both_apis
@exercises("chat", "whole", "usage")
def test_whole_reply(here, backend, model):
    reply = litellm.completion(**chat(text="What is new?", model=model), **here)
    assert "What is new?" in reply.choices[0].message.content and reply.choices[0].finish_reason == "stop"
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens > 0
    (turn,) = backend.turns()
    assert turn["body"]["model"] == model


@both_apis
@exercises("chat", "stream", "usage")
def test_stream(here, model):
    chunks = list(litellm.completion(**chat(text="Tell me.", model=model), stream=True, stream_options={"include_usage": True}, **here))
    choices = [choice for chunk in chunks for choice in chunk.choices]
    assert "Tell me." in "".join(choice.delta.content or "" for choice in choices)
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["stop"]
    assert chunks[-1].usage.completion_tokens > 0


@streamed_and_whole
def test_async(here, stream):
    async def text():
        reply = await litellm.acompletion(**chat(text="Tell me."), stream=stream, **here)
        return folded([chunk async for chunk in reply]) if stream else reply

    assert "Tell me." in asyncio.run(text()).choices[0].message.content


@both_apis
@streamed_and_whole
@exercises("tools", "turns")
def test_parallel_tools_and_their_answers(here, backend, model, stream):
    body = chat("parallel-tools", model=model, tools=[WEATHER, TIME])
    reply = litellm.completion(**body, stream=stream, **here)
    (choice,) = (folded(reply) if stream else reply).choices
    calls = choice.message.tool_calls
    assert ([call.function.name for call in calls], choice.finish_reason) == (["get_weather", "get_time"], "tool_calls")
    # For this model LiteLLM calls the Responses API, where a schema is strict unless the request says otherwise.
    asked = {"location"} if model == MODEL else {"location", "unit"}
    assert [set(json.loads(call.function.arguments)) for call in calls] == [asked, {"zone"}]

    body["messages"] += [choice.message, *({"role": "tool", "tool_call_id": call.id, "content": "18 °C"} for call in calls)]
    reply = litellm.completion(**body, **here)
    assert "18 °C" in reply.choices[0].message.content
    sent = [item["call_id"] for item in backend.turns()[-1]["body"]["input"] if "call_id" in item]
    assert sent == [call.id for call in calls] * 2


@exercises("images")
def test_image(here, backend):
    content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    litellm.completion(model=f"openai/{MODEL}", messages=[{"role": "user", "content": content}], **here)
    (turn,) = backend.turns()
    assert [part["image_url"] for part in turn["body"]["input"][0]["content"] if part["type"] == "input_image"] == [PIXEL]


class Event(pydantic.BaseModel):
    name: str
    seats: int


@exercises("schemas")
def test_a_response_format_of_pydantic(here, backend):
    reply = litellm.completion(**chat("json-schema"), response_format=Event, **here)
    assert isinstance(Event.model_validate_json(reply.choices[0].message.content), Event)
    form = backend.turns()[-1]["body"]["text"]["format"]
    assert (form["type"], form["name"], form["strict"]) == ("json_schema", "Event", True)


@both_apis
@streamed_and_whole
@exercises("reasoning")
def test_reasoning(here, backend, model, stream):
    # The Responses API returns a summary only on request, so the Codex models need LiteLLM's longer form.
    effort = {"effort": "high", "summary": "auto"} if model == CODEX else "high"
    reply = litellm.completion(**chat("reasoning", model=model), reasoning_effort=effort, stream=stream, **here)
    message = (folded(reply) if stream else reply).choices[0].message
    assert "Reading the question" in message.reasoning_content and "Reading the question" not in message.content
    assert backend.turns()[-1]["body"]["reasoning"] == {"effort": "high", "summary": "auto"}


def test_what_litellm_refuses_by_itself(here, backend):
    with pytest.raises(litellm.UnsupportedParamsError, match="temperature"):
        litellm.completion(**chat(model="gpt-5.5"), temperature=0.2, **here)
    assert backend.turns() == []
    reply = litellm.completion(**chat(model="gpt-5.5"), temperature=0.2, drop_params=True, **here)
    assert reply.choices[0].finish_reason == "stop"


def test_what_the_backend_cannot_do_is_named(here):
    reply = litellm.completion(**chat(), user="u" * 80, seed=4, **here)
    told = reply._response_headers["x-codex-proxy-dropped"]
    assert "user dropped" in told and "seed dropped" in told


@exercises("models")
def test_the_models_are_listed(here):
    address = {name: here[name] for name in ("api_base", "api_key")}
    assert MODEL in litellm.get_valid_models(check_provider_endpoint=True, custom_llm_provider="openai", **address)
