"""Each fault through LiteLLM's proxy server: status and message stay, the code becomes the status."""

import openai
import pytest
from exercised import exercises
from faults import CONTENT_FILTER, each_fault
from harness import MODEL, ask

pytestmark = exercises("failures")

streamed_and_whole = pytest.mark.parametrize("stream", [False, True])


def check(fault, error, backend, is_late):
    assert type(error) is (openai.APIError if is_late else getattr(openai, fault.sdk_class))
    assert fault.says in error.message
    assert is_late or error.status_code == fault.status
    assert len(backend.turns()) == (1 if is_late else fault.turns)


@each_fault
@streamed_and_whole
def test_chat(failed, backend, fault, stream):
    is_late = stream and fault.is_late
    text = ""
    with pytest.raises(openai.APIError) as caught:
        for chunk in failed.chat.completions.create(**{**ask(fault.scenario), "model": fault.model}, stream=stream):
            text += chunk.choices[0].delta.content or ""
            assert chunk.choices[0].finish_reason is None
    check(fault, caught.value, backend, is_late)
    assert bool(text) == is_late, "what came before the fault is the client's"


@each_fault
@streamed_and_whole
def test_responses(failed, backend, fault, stream):
    create = dict(model=fault.model, input=f"{fault.words} Hello!", stream=stream)
    if stream and fault.is_late:
        *_, last = failed.responses.create(**create)
        assert last.type == "response.failed" and fault.says in last.response.error.message
        assert len(backend.turns()) == 1
        return
    with pytest.raises(openai.APIError) as caught:
        failed.responses.create(**create)
    check(fault, caught.value, backend, is_late=False)


@streamed_and_whole
def test_a_content_filter_is_named(client, stream):
    reply = client.chat.completions.create(**ask(CONTENT_FILTER), stream=stream)
    choices = [choice for chunk in reply for choice in chunk.choices] if stream else reply.choices
    assert choices[-1].finish_reason == "content_filter"
    reply = client.responses.create(model=MODEL, input=f"[sim:{CONTENT_FILTER}] Hello!")
    assert reply.status == "incomplete" and reply.incomplete_details.reason == "content_filter"
