"""Each fault as openai-node throws it, with both APIs, with and without streaming, and with the SDK's own retries."""

import pytest
from exercised import exercises
from faults import CONTENT_FILTER, each_fault
from harness import MODEL, ask
from node import Thrown

pytestmark = exercises("failures")

RETRIES = 1


def check(fault, error, backend, is_stream):
    is_late = is_stream and fault.is_late
    assert error.name == ("APIError" if is_late else fault.sdk_class)
    assert fault.says in error.message and error.properties["code"] == fault.code
    if not is_late:
        assert error.properties["status"] == fault.status
        assert error.properties["headers"]["x-request-id"] == error.properties["requestID"]
    # Once a stream has started, it cannot be retried without the client noticing.
    assert len(backend.turns()) == (1 if is_late else fault.most_turns(RETRIES))


@each_fault
@pytest.mark.parametrize("call", ["chat", "chatStream"])
def test_chat(program, failing, backend, fault, call):
    with pytest.raises(Thrown) as caught:
        program.call(call, sdk={"baseURL": failing.base_url}, body={**ask(fault.scenario), "model": fault.model})
    is_stream = call == "chatStream"
    check(fault, caught.value, backend, is_stream)
    if is_stream:
        choices = [chunk["choices"][0] for chunk in caught.value.properties["received"]]
        assert bool(choices) == fault.is_late, "what came before the fault is the client's"
        assert not any(choice["finish_reason"] for choice in choices)


@each_fault
def test_responses(program, failing, backend, fault):
    with pytest.raises(Thrown) as caught:
        program.call("responses", sdk={"baseURL": failing.base_url}, body={"model": fault.model, "input": f"{fault.words} Hello!"})
    check(fault, caught.value, backend, is_stream=False)


@each_fault
def test_responses_streamed(program, failing, backend, fault):
    call = dict(sdk={"baseURL": failing.base_url}, body={"model": fault.model, "input": f"{fault.words} Hello!"})
    if not fault.is_late:
        with pytest.raises(Thrown) as caught:
            program.call("responsesStream", **call)
        return check(fault, caught.value, backend, is_stream=True)
    *_, last = program.call("responsesStream", **call)
    assert last["type"] == "response.failed" and last["response"]["status"] == "failed"
    assert last["response"]["error"]["code"] == fault.code and fault.says in last["response"]["error"]["message"]
    assert len(backend.turns()) == 1


def test_the_headers_about_retries(sdk):
    with pytest.raises(Thrown) as caught:
        sdk("chat", body=ask("429-usage"))
    headers = caught.value.properties["headers"]
    assert headers["x-should-retry"] == "false" and int(headers["retry-after"]) > 0


def test_a_fault_that_passes_is_not_seen(sdk, backend):
    reply = sdk("chat", body=ask("overloaded-once"))
    assert reply["choices"][0]["finish_reason"] == "stop" and len(backend.turns()) == 2


def test_a_wrong_key(program, proxy, backend):
    with pytest.raises(Thrown) as caught:
        program.call("chat", sdk={"baseURL": proxy.base_url, "apiKey": "wrong"}, body=ask())
    assert caught.value.name == "AuthenticationError" and caught.value.properties["code"] == "invalid_api_key"
    assert backend.turns() == []


def test_a_content_filter_is_named(sdk):
    assert sdk("chat", body=ask(CONTENT_FILTER))["choices"][0]["finish_reason"] == "content_filter"
    assert sdk("chatStream", body=ask(CONTENT_FILTER))[-1]["choices"][0]["finish_reason"] == "content_filter"
    reply = sdk("responses", body={"model": MODEL, "input": f"[sim:{CONTENT_FILTER}] Hello!"})
    assert reply["status"] == "incomplete" and reply["incomplete_details"]["reason"] == "content_filter"
