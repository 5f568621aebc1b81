"""Each fault as openai-python raises it, with both APIs, with and without streaming, and with the SDK's own retries."""

import openai
import pytest
from exercised import exercises
from faults import CONTENT_FILTER, each_fault
from harness import KEY, MODEL, ask

pytestmark = exercises("failures")

RETRIES = 1


@pytest.fixture
def failed(failing):
    """The SDK with a failing program, and with one retry."""
    with openai.OpenAI(base_url=failing.base_url, api_key=KEY, max_retries=RETRIES) as client:
        yield client


def check(fault, error, backend, is_stream):
    is_late = is_stream and fault.is_late
    assert type(error) is (openai.APIError if is_late else getattr(openai, fault.sdk_class))
    assert fault.says in error.message and error.code == fault.code
    if not is_late:
        assert error.status_code == fault.status
    # Once a stream has started, it cannot be retried without the client noticing.
    assert len(backend.turns()) == (1 if is_late else fault.most_turns(RETRIES))


@each_fault
@pytest.mark.parametrize("stream", [False, True])
def test_chat(failed, backend, fault, stream):
    text = ""
    with pytest.raises(openai.APIError) as caught:
        reply = failed.chat.completions.create(**{**ask(fault.scenario), "model": fault.model}, stream=stream)
        for chunk in reply:
            text += chunk.choices[0].delta.content or ""
            assert chunk.choices[0].finish_reason is None
    check(fault, caught.value, backend, stream)
    assert bool(text) == (stream and fault.is_late), "what came before the fault is the client's"


@each_fault
def test_responses(failed, backend, fault):
    with pytest.raises(openai.APIError) as caught:
        failed.responses.create(model=fault.model, input=f"{fault.words} Hello!")
    check(fault, caught.value, backend, is_stream=False)


@each_fault
def test_responses_streamed(failed, backend, fault):
    create = dict(model=fault.model, input=f"{fault.words} Hello!", stream=True)
    if not fault.is_late:
        with pytest.raises(openai.APIError) as caught:
            failed.responses.create(**create)
        return check(fault, caught.value, backend, is_stream=True)
    *_, last = failed.responses.create(**create)
    assert last.type == "response.failed" and last.response.status == "failed"
    assert last.response.error.code == fault.code and fault.says in last.response.error.message
    assert len(backend.turns()) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_content_filter_is_named(client, stream):
    reply = client.chat.completions.create(**ask(CONTENT_FILTER), stream=stream)
    choices = [choice for chunk in reply for choice in chunk.choices] if stream else reply.choices
    assert choices[-1].finish_reason == "content_filter"
    reply = client.responses.create(model=MODEL, input=f"[sim:{CONTENT_FILTER}] Hello!")
    assert reply.status == "incomplete" and reply.incomplete_details.reason == "content_filter"
