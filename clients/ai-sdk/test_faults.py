"""Each fault as the AI SDK reports it, with each of its providers."""

import json

import pytest
from exercised import exercises
from faults import FAULTS, USAGE_LIMIT, each_fault
from node import Thrown

pytestmark = exercises("failures")

# By status only: the SDK knows no header that says whether to retry.
RETRYABLE = {"cut", "stalled", "challenge", "usage-limit", "server-error", "overload"}


def test_retryable_faults_are_faults():
    assert RETRYABLE <= {fault.name for fault in FAULTS}


def check(fault, provider, name, message, properties):
    assert name == "APICallError" and properties["statusCode"] == fault.status
    assert properties["isRetryable"] == (fault.name in RETRYABLE)
    error = json.loads(properties["responseBody"])["error"]
    assert error["code"] == fault.code and fault.says in error["message"]
    # Open Responses' reader rejects errors whose `param` or `code` is null, as OpenAI's are: it shows the status's name.
    if provider != "open-responses" or error["param"] and error["code"]:
        assert message == error["message"]
    else:
        assert message


@each_fault
def test_generate(program, failing, backend, provider, fault):
    with pytest.raises(Thrown) as caught:
        program.call("generate", url=failing.base_url, provider=provider, model=fault.model, prompt=f"{fault.words} Hello!")
    check(fault, provider, caught.value.name, caught.value.message, caught.value.properties)
    assert len(backend.turns()) == fault.turns


@each_fault
def test_stream(program, failing, backend, provider, fault):
    parts = program.call("parts", url=failing.base_url, provider=provider, model=fault.model, prompt=f"{fault.words} Hello!")
    (error,) = [part["error"] for part in parts if part["type"] == "error"]
    text = "".join(part["text"] for part in parts if part["type"] == "text-delta")
    if fault.is_late:
        assert fault.says in error["message"] and text, "what came before the fault is the user's"
        assert error["properties"]["code"] == fault.code
        (finish,) = [part["finishReason"] for part in parts if part["type"] == "finish"]
        assert finish == "error"
        assert len(backend.turns()) == 1
    else:
        check(fault, provider, error["name"], error["message"], error["properties"])
        assert not text and len(backend.turns()) == fault.turns


def test_retries(sdk, backend, provider):
    with pytest.raises(Thrown) as caught:
        sdk("generate", provider=provider, prompt=f"{USAGE_LIMIT.words} Hello!", maxRetries=1)
    assert caught.value.name == "RetryError" and caught.value.properties["reason"] == "maxRetriesExceeded"
    assert caught.value.properties["lastError"]["properties"]["statusCode"] == 429
    assert len(backend.turns()) == 2, "as often as the SDK is told to, and no more"


def test_a_fault_that_passes_is_not_seen(sdk, backend, provider):
    reply = sdk("generate", provider=provider, prompt="[sim:401-once] Hello!")
    assert "Hello!" in reply["text"] and [turn["status"] for turn in backend.turns()] == [401, 200]


def test_a_wrong_key(sdk, backend, provider):
    with pytest.raises(Thrown) as caught:
        sdk("generate", provider=provider, prompt="Hello!", key="wrong")
    assert caught.value.properties["statusCode"] == 401 and not caught.value.properties["isRetryable"]
    assert json.loads(caught.value.properties["responseBody"])["error"]["code"] == "invalid_api_key"
    assert backend.turns() == []
