"""Each fault as the OpenAI Agents SDK for Python raises it, on models of both APIs, with and without streaming."""

import asyncio

import openai
import pytest
from agents import Agent, ModelBehaviorError, ModelRefusalError, Runner
from exercised import exercises
from faults import CONTENT_FILTER, each_fault

pytestmark = exercises("failures")

RETRIES = 1


async def stream(agent, prompt, seen):
    async for event in Runner.run_streamed(agent, prompt).stream_events():
        seen.append(event)


@each_fault
@pytest.mark.parametrize("streamed", [False, True])
def test_fault(failing_model, api, backend, fault, streamed):
    agent, prompt, seen = Agent("Unlucky", model=failing_model), f"{fault.words} Hello!", []
    with pytest.raises(Exception) as caught:
        asyncio.run(stream(agent, prompt, seen) if streamed else Runner.run(agent, prompt))
    error = caught.value
    if streamed and fault.is_late:
        # The SDK reads the last event of the Responses API itself.
        assert type(error) is {"chat": openai.APIError, "responses": ModelBehaviorError}[api]
        assert fault.code in (error.code if api == "chat" else error.message)
        assert any(event.type == "raw_response_event" for event in seen), "what came before the fault is the user's"
        assert not any(event.type == "run_item_stream_event" for event in seen)
        assert len(backend.turns()) == 1
    else:
        assert type(error) is getattr(openai, fault.sdk_class)
        assert fault.says in error.message and (error.code, error.status_code) == (fault.code, fault.status)
        assert len(backend.turns()) == fault.most_turns(RETRIES)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_content_filter_is_no_empty_answer(model, api, streamed):
    agent, seen = Agent("Unlucky", model=model), []
    # The SDK keeps the part of a chat reply before the filter; here this is nothing.
    prompt = f"[sim:no-items][sim:{CONTENT_FILTER}] Hello!"
    raised = {"chat": ModelRefusalError, "responses": ModelBehaviorError}[api]
    with pytest.raises(raised, match="content.filter"):
        asyncio.run(stream(agent, prompt, seen) if streamed else Runner.run(agent, prompt))
