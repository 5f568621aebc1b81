"""Each fault as LiteLLM raises it, by its own classes, with both APIs, with and without streaming."""

import asyncio

import litellm
import openai
import pytest
from exercised import exercises
from faults import CONTENT_FILTER, CONTEXT, CUT, FAULTS, each_fault
from harness import MODEL, ask

pytestmark = exercises("failures")

RAISED = {
    "cut": litellm.BadGatewayError,
    "stalled": litellm.Timeout,
    "login": litellm.AuthenticationError,
    "challenge": litellm.BadGatewayError,
    "usage-limit": litellm.RateLimitError,
    "server-error": litellm.BadGatewayError,
    "overload": litellm.ServiceUnavailableError,
    "context": litellm.ContextWindowExceededError,
    "unknown-model": litellm.NotFoundError,
    "refused-parameter": litellm.BadRequestError,
}
# Retries of the OpenAI SDK within `completion`; `responses` uses HTTP directly and does not retry.
RETRIES = 1


@pytest.fixture
def there(failing, here):
    return {**here, "api_base": failing.url}


def chat(fault):
    return {**ask(fault.scenario), "model": f"openai/{fault.model}", "max_retries": RETRIES}


def responses(fault):
    return {"model": f"openai/{fault.model}", "input": f"{fault.words} Hello!"}


def test_each_has_its_class():
    assert set(RAISED) == {fault.name for fault in FAULTS}


def check(fault, error, backend, retries):
    assert type(error) is RAISED[fault.name]
    assert fault.says in str(error) and error.status_code == fault.status
    assert len(backend.turns()) == fault.most_turns(retries)


def check_streamed(fault, error, backend, retries):
    if not fault.is_late:
        return check(fault, error, backend, retries)
    # LiteLLM's class for a failure within a stream; its router then continues with another model.
    assert type(error) is litellm.exceptions.MidStreamFallbackError and fault.says in str(error)
    assert len(backend.turns()) == 1


@each_fault
@pytest.mark.parametrize("stream", [False, True])
def test_completion(there, backend, fault, stream):
    text = ""
    with pytest.raises(openai.APIError) as caught:
        for chunk in litellm.completion(**chat(fault), stream=stream, **there):
            text += chunk.choices[0].delta.content or ""
            assert chunk.choices[0].finish_reason is None
    (check_streamed if stream else check)(fault, caught.value, backend, RETRIES)
    assert bool(text) == (stream and fault.is_late), "what came before the fault is the client's"


@each_fault
@pytest.mark.parametrize("stream", [False, True])
def test_responses(there, backend, fault, stream):
    with pytest.raises(openai.APIError) as caught:
        for event in litellm.responses(**responses(fault), stream=stream, **there):
            assert event.type != "response.completed"
    (check_streamed if stream else check)(fault, caught.value, backend, retries=0)


@pytest.mark.parametrize("fault", [CUT, CONTEXT], ids=["late", "early"])
def test_async(here, backend, fault):
    async def chunks():
        return [chunk async for chunk in await litellm.acompletion(**chat(fault), stream=True, **here)]

    async def events():
        return [event async for event in await litellm.aresponses(**responses(fault), stream=True, **here)]

    for ask_for in (chunks, events):
        backend.forget()
        with pytest.raises(openai.APIError) as caught:
            asyncio.run(ask_for())
        check_streamed(fault, caught.value, backend, RETRIES)


@pytest.mark.parametrize("stream", [False, True])
def test_a_content_filter_is_named(here, stream):
    reply = litellm.completion(**ask(CONTENT_FILTER) | {"model": f"openai/{MODEL}"}, stream=stream, **here)
    assert (list(reply)[-1] if stream else reply).choices[0].finish_reason == "content_filter"
    reply = litellm.responses(model=f"openai/{MODEL}", input=f"[sim:{CONTENT_FILTER}] Hello!", **here)
    assert reply.status == "incomplete" and reply.incomplete_details.reason == "content_filter"
