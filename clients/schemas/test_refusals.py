"""Each error as openai-python raises it: class, status, code and parameter, and whether to retry."""

import openai
import pytest
from harness import KEY, MODEL, PATIENCE, Proxy

BUSY, AGAIN, NEVER = "busy", "again", "never"
# How the simulator fails, and what the SDK's user gets. The last value is the advice to the SDK: it may retry (by status), may
# retry after a given time, or must not retry.
FAILURES = {
    "402": (openai.PermissionDeniedError, 403, "deactivated_workspace", None, None),
    "403-json": (openai.PermissionDeniedError, 403, "invalid_workspace_selected", None, None),
    "404": (openai.NotFoundError, 404, "model_not_found", "model", None),
    "422": (openai.BadRequestError, 400, None, "input", None),
    "context-length": (openai.BadRequestError, 400, "context_length_exceeded", "input", None),
    "cyber-policy": (openai.BadRequestError, 400, "cyber_policy", None, None),
    "429-usage": (openai.RateLimitError, 429, "usage_limit_reached", None, NEVER),
    "429-not-included": (openai.RateLimitError, 429, "insufficient_quota", None, NEVER),
    "429-quota": (openai.RateLimitError, 429, "insufficient_quota", None, NEVER),
    "429-rate": (openai.RateLimitError, 429, "rate_limit_exceeded", None, BUSY),
    "failed-first=rate_limit_exceeded": (openai.RateLimitError, 429, "rate_limit_exceeded", None, BUSY),
    "failed-first=insufficient_quota": (openai.RateLimitError, 429, "insufficient_quota", None, NEVER),
    # The proxy has already retried these.
    "500": (openai.InternalServerError, 502, "server_error", None, NEVER),
    "502": (openai.InternalServerError, 502, "upstream_error", None, NEVER),
    "504": (openai.InternalServerError, 502, "upstream_error", None, NEVER),
    "520": (openai.InternalServerError, 502, "upstream_error", None, NEVER),
    "524": (openai.InternalServerError, 502, "upstream_error", None, NEVER),
    "503": (openai.InternalServerError, 503, "server_is_overloaded", None, NEVER),
    "503=slow_down": (openai.InternalServerError, 503, "slow_down", None, NEVER),
    "capacity": (openai.InternalServerError, 503, "server_is_overloaded", None, NEVER),
    "cloudflare": (openai.InternalServerError, 502, "cloudflare_challenge", None, NEVER),
    "cloudflare=blocked": (openai.InternalServerError, 502, "cloudflare_challenge", None, NEVER),
    "cloudflare=unable": (openai.InternalServerError, 502, "cloudflare_challenge", None, NEVER),
    # Reported within a stream, or only once.
    "404=empty": (openai.InternalServerError, 502, "upstream_error", None, AGAIN),
    "overloaded": (openai.InternalServerError, 503, "server_is_overloaded", None, AGAIN),
    "failed-first=server_error": (openai.InternalServerError, 502, "server_error", None, AGAIN),
    "error-first": (openai.InternalServerError, 502, "server_error", None, AGAIN),
    "error-first=flat": (openai.InternalServerError, 502, "server_error", None, AGAIN),
    "cut": (openai.InternalServerError, 502, "stream_truncated", None, AGAIN),
    "no-terminal": (openai.InternalServerError, 502, "stream_truncated", None, AGAIN),
    "no-events": (openai.InternalServerError, 502, "stream_truncated", None, AGAIN),
}
REFUSED_LOGINS = ["401", "401=token_expired", "401=token_revoked", "401=detail", "401=scope"]

CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "x"}]}
TURN = {"model": MODEL, "input": "x"}
PICTURE = {"prompt": "x"}
# Invalid requests by path: the body, the named parameter, and the code.
REFUSALS = {
    "chat/completions": [
        ({"messages": CHAT["messages"]}, "model", "missing_required_parameter"),
        ({"model": MODEL}, "messages", "missing_required_parameter"),
        ({**CHAT, "model": 5}, "model", "invalid_type"),
        ({**CHAT, "messages": []}, "messages", None),
        ({**CHAT, "messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role", None),
        ({**CHAT, "messages": [{"role": "user", "content": 5}]}, "messages[0].content", "invalid_type"),
        ({**CHAT, "messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages[0].content[0]", "unsupported_content"),
        ({**CHAT, "messages": [{"role": "assistant", "content": ""}]}, "messages", None),
        ({**CHAT, "stream": "yes"}, "stream", "invalid_type"),
        ({**CHAT, "n": 0}, "n", None),
        ({**CHAT, "n": 1000}, "n", None),
        ({**CHAT, "stop": ["a", "b", "c", "d", "e"]}, "stop", None),
        ({**CHAT, "max_tokens": 0}, "max_tokens", None),
        ({**CHAT, "tools": [{"type": "function", "function": {}}]}, "tools[0].function.name", "missing_required_parameter"),
        ({**CHAT, "tool_choice": "sometimes"}, "tool_choice", None),
        ({**CHAT, "tool_choice": "required"}, "tool_choice", None),
        ({**CHAT, "response_format": {"type": "json_schema"}}, "response_format.schema", "missing_required_parameter"),
        ({**CHAT, "modalities": ["audio"]}, "modalities", "unsupported_parameter"),
    ],
    "responses": [
        ({"input": "x"}, "model", "missing_required_parameter"),
        ({"model": MODEL}, "input", "missing_required_parameter"),
        ({**TURN, "input": 5}, "input", "invalid_type"),
        ({**TURN, "input": [{"content": "x"}]}, "input[0].type", "missing_required_parameter"),
        ({**TURN, "input": [{"type": "function_call", "name": "f"}]}, "input[0].call_id", "missing_required_parameter"),
        ({**TURN, "background": True}, "background", "unsupported_parameter"),
        ({**TURN, "conversation": "conv_1"}, "conversation", "unsupported_parameter"),
        ({**TURN, "prompt": {"id": "p"}}, "prompt", "unsupported_parameter"),
        ({**TURN, "previous_response_id": "resp_0"}, "previous_response_id", "previous_response_not_found"),
    ],
    "responses/compact": [({"model": MODEL}, "input", "missing_required_parameter")],
    "images/generations": [
        ({}, "prompt", "missing_required_parameter"),
        ({**PICTURE, "n": 1000}, "n", None),
        ({**PICTURE, "stream": True}, "stream", "unsupported_parameter"),
        ({**PICTURE, "response_format": "file"}, "response_format", None),
    ],
    "images/edits": [
        (PICTURE, "image", "missing_required_parameter"),
        ({**PICTURE, "image": "file.png"}, "image", None),
        ({**PICTURE, "image": "https://example.com/a.png", "mask": "x"}, "mask", "unsupported_parameter"),
    ],
}
by_api = pytest.mark.parametrize("path", ["chat/completions", "responses"])


def client(proxy, **more):
    return openai.OpenAI(**{"base_url": proxy.base_url, "api_key": KEY, "timeout": PATIENCE, "max_retries": 0, **more})


def asking(path, scenario):
    text = f"[sim:{scenario}] Hello!"
    return {**CHAT, "messages": [{"role": "user", "content": text}]} if path == "chat/completions" else {**TURN, "input": text}


def raised(proxy, path, body, **more):
    with pytest.raises(openai.APIStatusError) as caught:
        client(proxy, **more).post(f"/{path}", body=body, cast_to=object)
    error = caught.value
    assert error.response.headers["content-type"] == "application/json" and error.request_id
    assert set(error.body) == {"message", "type", "param", "code"} and error.message
    return error


def check(error, kind, status, code, param):
    assert (type(error), error.status_code, error.code, error.param) == (kind, status, code, param), error


@by_api
@pytest.mark.parametrize("scenario", FAILURES)
def test_failures_of_the_backend(proxy, path, scenario):
    kind, status, code, param, retry = FAILURES[scenario]
    error = raised(proxy, path, asking(path, scenario))
    # The name that the caller uses.
    own = "messages" if param == "input" and path == "chat/completions" else param
    check(error, kind, status, code, own)
    headers = error.response.headers
    assert headers.get("x-should-retry") == ("false" if retry == NEVER else None)
    # An exhausted window reports when it resets, although retrying earlier is useless.
    assert ("retry-after" in headers) == (retry == BUSY or code == "usage_limit_reached")
    assert float(headers.get("retry-after", 1)) > 0


@by_api
@pytest.mark.parametrize("scenario", ["429-usage", "500"])
def test_what_is_not_to_be_tried_again_is_not(proxy, backend, path, scenario):
    raised(proxy, path, asking(path, scenario))
    once = len(backend.turns())
    backend.forget()
    raised(proxy, path, asking(path, scenario), max_retries=2)
    assert len(backend.turns()) == once


@pytest.mark.parametrize("scenario", REFUSED_LOGINS)
def test_a_refused_login(backend, tmp_path, scenario):
    """A separate login: a backend that keeps rejecting new tokens gets none for a minute."""
    backend.log_in(tmp_path)
    with Proxy(tmp_path, CODEX_PROXY_API_KEY=KEY, **backend.settings()) as proxy:
        error = raised(proxy, "responses", asking("responses", scenario))
        check(error, openai.AuthenticationError, 401, "upstream_login_required", None)
        assert "codex-proxy login" in error.message and error.response.headers["www-authenticate"]


REFUSED = [(path, *case) for path, cases in REFUSALS.items() for case in cases]


@pytest.mark.parametrize("path, body, param, code", REFUSED, ids=[f"{path}-{param}" for path, _, param, _ in REFUSED])
def test_refusals_of_bad_input(proxy, backend, path, body, param, code):
    error = raised(proxy, path, body)
    check(error, openai.BadRequestError, 400, code, param)
    assert error.type == "invalid_request_error" and "retry-after" not in error.response.headers
    assert backend.control("GET", "requests")["requests"] == []


def test_a_wrong_key(proxy):
    check(raised(proxy, "responses", TURN, api_key="wrong"), openai.AuthenticationError, 401, "invalid_api_key", None)


def test_what_does_not_exist(proxy):
    check(raised(proxy, "embeddings", {"model": MODEL, "input": "x"}), openai.NotFoundError, 404, "unknown_url", None)
    with pytest.raises(openai.APIStatusError) as caught:
        client(proxy).get("/chat/completions", cast_to=object)
    assert caught.value.status_code == 405 and caught.value.code == "method_not_allowed"
    with pytest.raises(openai.NotFoundError) as caught:
        client(proxy).models.retrieve("no-such-model")
    check(caught.value, openai.NotFoundError, 404, "model_not_found", "model")
    with pytest.raises(openai.NotFoundError) as caught:
        client(proxy).responses.retrieve("resp_0")
    assert caught.value.status_code == 404
