"""Each fault as Pydantic AI raises it, by its own classes, with both APIs, with and without streaming."""

import asyncio

import pytest
from exercised import exercises
from faults import CONTENT_FILTER, FAULTS, each_fault
from pydantic_ai import Agent
from pydantic_ai import exceptions as raised
from pydantic_ai.models.openai import OpenAIChatModel

pytestmark = exercises("failures")

RAISED = {
    "cut": raised.ModelServerError,
    "stalled": raised.ModelServerError,
    "login": raised.ModelAuthenticationError,
    "challenge": raised.ModelServerError,
    "usage-limit": raised.ModelRateLimitError,
    "server-error": raised.ModelServerError,
    "overload": raised.ModelOverloadedError,
    "context": raised.ModelContextWindowExceededError,
    "unknown-model": raised.ModelNotFoundError,
    "refused-parameter": raised.ModelRequestRejectedError,
}
RETRIES = 1


def test_each_has_its_class():
    assert set(RAISED) == {fault.name for fault in FAULTS}


def check(fault, error, backend):
    assert isinstance(error, RAISED[fault.name])
    assert error.status_code == fault.status and error.body["code"] == fault.code and fault.says in error.body["message"]
    assert len(backend.turns()) == fault.most_turns(RETRIES)


@each_fault
def test_run(failed, backend, fault):
    with pytest.raises(raised.ModelAPIError) as caught:
        asyncio.run(Agent(failed).run(f"{fault.words} Hello!"))
    check(fault, caught.value, backend)


@each_fault
def test_stream(failed, api, backend, fault):
    texts = []

    async def streamed():
        async with Agent(failed).run_stream(f"{fault.words} Hello!") as result:
            async for text in result.stream_text(delta=True, debounce_by=None):
                texts.append(text)

    with pytest.raises(raised.ModelAPIError) as caught:
        asyncio.run(streamed())
    assert bool(texts) == fault.is_late, "what came before the fault is the client's"
    if not fault.is_late:
        return check(fault, caught.value, backend)
    # This is all that Pydantic AI reports for `response.failed`.
    assert isinstance(caught.value, raised.ModelServerError if api is OpenAIChatModel else raised.ModelAPIError)
    assert fault.says in str(caught.value) and len(backend.turns()) == 1


def test_a_content_filter_is_named(model):
    result = Agent(model).run_sync(f"[sim:{CONTENT_FILTER}] Hello!")
    assert result.response.finish_reason == "content_filter"
