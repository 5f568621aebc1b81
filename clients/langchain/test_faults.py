"""Each fault as LangChain raises it: by its own classes, which are also the OpenAI SDK's."""

import openai
import pytest
from exercised import exercises
from faults import CONTENT_FILTER, FAULTS, each_fault
from langchain_openai.chat_models import base

pytestmark = exercises("failures")

RAISED = {
    "cut": (base.OpenAIAPIError, openai.InternalServerError),
    "stalled": (base.OpenAIAPIError, openai.InternalServerError),
    "login": (base.OpenAIAuthenticationError, openai.AuthenticationError),
    "challenge": (base.OpenAIAPIError, openai.InternalServerError),
    "usage-limit": (base.OpenAIRateLimitError, openai.RateLimitError),
    "server-error": (base.OpenAIAPIError, openai.InternalServerError),
    "overload": (base.OpenAIAPIError, openai.InternalServerError),
    "context": (base.OpenAIInvalidRequestError, openai.BadRequestError),
    "unknown-model": (base.OpenAIModelNotFoundError, openai.NotFoundError),
    "refused-parameter": (base.OpenAIInvalidRequestError, openai.BadRequestError),
}
RETRIES = 1


@pytest.fixture(params=[False, True], ids=["chat", "responses"])
def failed(request, chat, failing, fault):
    return chat(request.param, model=fault.model, base_url=failing.base_url, max_retries=RETRIES)


def test_each_has_its_class():
    assert set(RAISED) == {fault.name for fault in FAULTS}


def check(fault, error, backend):
    own, sdks = RAISED[fault.name]
    assert type(error) is own and isinstance(error, sdks)
    assert fault.says in str(error) and (error.status_code, error.code) == (fault.status, fault.code)
    assert len(backend.turns()) == fault.most_turns(RETRIES)


@each_fault
def test_invoke(failed, backend, fault):
    with pytest.raises(openai.APIStatusError) as caught:
        failed.invoke(f"{fault.words} Hello!")
    check(fault, caught.value, backend)


@each_fault
def test_stream(failed, backend, fault):
    text = ""
    # LangChain turns `response.failed` into a ValueError.
    with pytest.raises((openai.APIError, ValueError)) as caught:
        for chunk in failed.stream(f"{fault.words} Hello!"):
            text += chunk.text
            assert chunk.chunk_position != "last"
    assert bool(text) == fault.is_late, "what came before the fault is the client's"
    if not fault.is_late:
        return check(fault, caught.value, backend)
    assert type(caught.value) is (ValueError if failed.use_responses_api else openai.APIError)
    assert fault.says in str(caught.value) and len(backend.turns()) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_content_filter_is_named(chat, stream):
    question = f"[sim:{CONTENT_FILTER}] Hello!"
    replies = chat().stream(question) if stream else [chat().invoke(question)]
    assert "content_filter" in [reply.response_metadata.get("finish_reason") for reply in replies]
    replies = chat(True).stream(question) if stream else [chat(True).invoke(question)]
    told = [reply.response_metadata.get("incomplete_details") for reply in replies]
    assert told[-1] == {"reason": "content_filter"}
