"""Errors as openai-python raises them. A truncated reply must never look complete."""

from typing import get_args

import httpx2
import openai
import pytest
from harness import KEY, MODEL, ask
from openai.types.responses import ResponseError

# The codes of a response that fails, except those of a failure that passes.
PASSING = {"server_error", "vector_store_timeout", "rate_limit_exceeded"}
LASTING = sorted(set(get_args(ResponseError.model_fields["code"].annotation)) - PASSING)


def error_of(caught):
    """Returns the error object's members, wherever the SDK stores them."""
    body = caught.value.body
    assert set(body) >= {"message", "type", "param", "code"}, body
    return body


@pytest.mark.parametrize("key", ["wrong", "codex-prox", "codex-proxy2"])
def test_a_wrong_key(proxy, backend, key):
    client = openai.OpenAI(base_url=proxy.base_url, api_key=key)
    with pytest.raises(openai.AuthenticationError) as caught:
        client.chat.completions.create(**ask())
    assert error_of(caught)["code"] == "invalid_api_key"
    assert backend.turns() == []


def test_no_key(proxy):
    reply = httpx2.post(f"{proxy.base_url}/chat/completions", json=ask())
    assert reply.status_code == 401 and "CODEX_PROXY_API_KEY" in reply.json()["error"]["message"]
    assert httpx2.get(f"{proxy.url}/health").status_code == 200


@pytest.mark.parametrize(
    "body, parameter",
    [
        (b"{", None),
        (b"[]", None),
        (b'{"model": 5, "messages": []}', "model"),
        (b'{"model": "gpt-5.1"}', "messages"),
        (b'{"model": "gpt-5.1", "messages": "hello"}', "messages"),
        (b'{"model": "gpt-5.1", "messages": [{"role": "wizard", "content": "x"}]}', "messages[0].role"),
        (b'{"model": "gpt-5.1", "messages": [{"role": "user", "content": 5}]}', "messages[0].content"),
    ],
)
def test_bad_input_is_named(proxy, backend, body, parameter):
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    reply = httpx2.post(f"{proxy.base_url}/chat/completions", content=body, headers=headers)
    assert reply.status_code == 400, reply.text
    error = reply.json()["error"]
    assert error["type"] == "invalid_request_error" and error["param"] == parameter, error
    assert backend.turns() == []


@pytest.mark.parametrize("stream", [False, True])
def test_an_unknown_model(client, stream):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(**{**ask(), "model": "no-such-model"}, stream=stream)
    assert error_of(caught)["code"] == "model_not_found"


@pytest.mark.parametrize("stream", [False, True])
def test_a_used_up_window_is_not_tried_again(client, backend, stream):
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(**ask("429-usage"), stream=stream)
    headers = caught.value.response.headers
    assert int(headers["retry-after"]) > 0 and headers["x-should-retry"] == "false"
    assert error_of(caught)["code"] == "usage_limit_reached"
    assert len(backend.turns()) == 1, "neither the program nor the SDK asked again"


@pytest.mark.parametrize(
    "scenario, error, code",
    [
        ("failed=context_length_exceeded", openai.BadRequestError, "context_length_exceeded"),
        ("context-length", openai.BadRequestError, "context_length_exceeded"),
        ("failed=insufficient_quota", openai.RateLimitError, "insufficient_quota"),
        ("failed=invalid_prompt", openai.BadRequestError, "invalid_prompt"),
        ("overloaded", openai.InternalServerError, "server_is_overloaded"),
        ("error-first", openai.InternalServerError, "server_error"),
        ("401", openai.AuthenticationError, None),
        ("402", openai.PermissionDeniedError, None),
        ("403-json", openai.PermissionDeniedError, None),
        ("404", openai.NotFoundError, None),
        ("429-rate", openai.RateLimitError, "rate_limit_exceeded"),
        ("500", openai.InternalServerError, None),
        ("503", openai.InternalServerError, None),
        ("cloudflare", openai.APIStatusError, "cloudflare_challenge"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_failure_before_the_first_word_is_a_status(impatient, scenario, error, code, stream):
    with pytest.raises(error) as caught:
        impatient.chat.completions.create(**ask(scenario), stream=stream)
    body = error_of(caught)
    assert body["code"] == (code or body["code"])
    assert "<" not in body["message"], "no HTML reaches a client"


@pytest.mark.parametrize("code", LASTING)
def test_what_cannot_succeed_is_asked_once(client, backend, code):
    with pytest.raises((openai.BadRequestError, openai.PermissionDeniedError)) as caught:
        client.responses.create(model=MODEL, input=f"[sim:failed={code}] Go.")
    assert error_of(caught)["code"] == code
    assert len(backend.turns()) == 1, "neither the program nor the SDK asked again"


def test_a_failure_that_passes_is_not_seen(client, backend):
    assert client.chat.completions.create(**ask("401-once")).choices[0].finish_reason == "stop"
    assert [turn["status"] for turn in backend.turns()] == [401, 200]


@pytest.mark.parametrize("scenario", ["cut", "no-terminal", "failed=server_error"])
def test_a_stream_that_breaks_off_raises(impatient, scenario):
    finishes = []
    with pytest.raises(openai.APIError) as caught:
        for chunk in impatient.chat.completions.create(**ask(scenario), stream=True):
            finishes += [choice.finish_reason for choice in chunk.choices if choice.finish_reason]
    assert finishes == [] and caught.value.message


@pytest.mark.parametrize("scenario", ["cut", "no-terminal", "failed=server_error"])
def test_a_whole_reply_that_breaks_off_raises(impatient, scenario):
    with pytest.raises(openai.InternalServerError):
        impatient.chat.completions.create(**ask(scenario))


@pytest.mark.parametrize("scenario", ["cut", "no-terminal"])
def test_a_responses_stream_that_breaks_off_ends_as_failed(impatient, scenario):
    events = list(impatient.responses.create(model=MODEL, input=f"[sim:{scenario}] Go.", stream=True))
    assert [event.type for event in events if event.type in ("response.completed", "response.incomplete")] == []
    assert events[-1].type == "response.failed"


def test_a_client_that_leaves_ends_the_turn_at_the_backend(client, backend):
    with client.chat.completions.create(**ask("stall"), stream=True) as stream:
        next(iter(stream))
    # The control call returns once the backend has seen the connection close; pytest's timeout bounds the wait.
    while (turn := backend.turns()[-1])["outcome"] == "in_flight":
        pass
    assert turn["outcome"] == "disconnected"
