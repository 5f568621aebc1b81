"""Each fault as LangChain.js throws it: the OpenAI SDK's classes, with both APIs, with and without streaming."""

import pytest
from exercised import exercises
from faults import CONTENT_FILTER, CONTEXT, SERVER_ERROR, each_fault
from node import Thrown

pytestmark = exercises("failures")

both_apis = pytest.mark.parametrize("responses", [False, True], ids=["chat", "responses"])


def check(fault, error, backend):
    assert error.name == ("ContextOverflowError" if fault is CONTEXT else fault.sdk_class) and fault.says in error.message
    # LangChain wraps the SDK's class in its own.
    told = error.properties["cause"]["properties"] if fault is CONTEXT else error.properties
    assert (told["status"], told["code"]) == (fault.status, fault.code)
    assert len(backend.turns()) == fault.turns


@each_fault
@both_apis
def test_invoke(langchain, chat, failing, backend, fault, responses):
    given = chat(responses, failing.base_url, model=fault.model)
    with pytest.raises(Thrown) as caught:
        langchain.call("ask", settings=given, content=f"{fault.words} Hello!")
    check(fault, caught.value, backend)


@each_fault
@both_apis
def test_stream(langchain, chat, failing, backend, fault, responses):
    ask = dict(settings=chat(responses, failing.base_url, model=fault.model), content=f"{fault.words} Hello!", stream=True)
    if fault.is_late and responses:
        # LangChain.js ignores `response.failed`. Only the missing completion shows the failure.
        reply = langchain.call("ask", **ask)
        assert reply["text"] and "status" not in reply["metadata"] and "usage" not in reply
        assert len(backend.turns()) == 1
        return
    with pytest.raises(Thrown) as caught:
        langchain.call("ask", **ask)
    error = caught.value
    assert bool(error.properties.get("before")) == fault.is_late, "what came before the fault is the client's"
    if not fault.is_late:
        return check(fault, error, backend)
    assert error.name == "APIError" and fault.says in error.message and error.properties["code"] == fault.code
    assert len(backend.turns()) == 1


def test_why_the_page_has_no_retries(langchain, chat, backend):
    """LangChain.js retries whatever the header says. Once it no longer does, the page does not need `maxRetries`."""
    with pytest.raises(Thrown):
        langchain.call("ask", settings=chat(maxRetries=1), content="[sim:500] Hello!")
    assert len(backend.turns()) == 2 * SERVER_ERROR.turns


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_content_filter_is_named(langchain, chat, stream):
    question = f"[sim:{CONTENT_FILTER}] Hello!"
    reply = langchain.call("ask", settings=chat(), content=question, stream=stream)
    assert reply["metadata"]["finish_reason"] == "content_filter"
    reply = langchain.call("ask", settings=chat(True), content=question, stream=stream)
    assert reply["metadata"]["incomplete_details"] == {"reason": "content_filter"}
