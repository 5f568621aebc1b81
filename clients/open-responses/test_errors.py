"""Errors: an object with message, type, code and param.

The specification's table of types (`invalid_request`, `not_found`, `too_many_requests`, `model_error`) matches neither its own
example nor OpenAI's API, by whose types SDKs and gateways distinguish errors: `invalid_request_error`, `rate_limit_error`,
`server_error`. We use OpenAI's types and the specification's statuses, except that the backend's faults are a 502, 503 or 504.
"""

import httpx2
import pytest
from harness import MODEL, PATIENCE

REFUSED = {
    "no model": ({"input": "Hello!"}, 400, "model", None),
    "no input": ({"model": MODEL}, 400, "input", None),
    "input": ({"model": MODEL, "input": 7}, 400, "input", "invalid_type"),
    "role": ({"model": MODEL, "input": [{"role": 7, "content": "x"}]}, 400, "input[0].role", "invalid_type"),
    "tool": ({"model": MODEL, "input": "x", "tools": [{"type": "function"}]}, 400, "tools[0].name", None),
    "tool choice": ({"model": MODEL, "input": "x", "tool_choice": "sometimes"}, 400, "tool_choice", None),
    "stream": ({"model": MODEL, "input": "x", "stream": "yes"}, 400, "stream", "invalid_type"),
    "background": ({"model": MODEL, "input": "x", "background": True}, 400, "background", "unsupported_parameter"),
    "unknown model": ({"model": "fake-model", "input": "x"}, 404, "model", "model_not_found"),
    "no such response": ({"model": MODEL, "input": "x", "previous_response_id": "resp_0"}, 400, "previous_response_id", "previous_response_not_found"),
}
FAILED = {
    "429-rate": (429, "rate_limit_error", "rate_limit_exceeded"),
    "500": (502, "server_error", "server_error"),
    "overloaded": (503, "server_error", "server_is_overloaded"),
    "context-length": (400, "invalid_request_error", "context_length_exceeded"),
}


def check(reply, status):
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"} and error["message"] and error["type"]
    return error


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(client, name, stream):
    body, status, param, code = REFUSED[name]
    error = check(client.post({"stream": stream, **body}), status)
    assert error["type"] == "invalid_request_error" and error["param"] == param
    assert code is None or error["code"] == code, error


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("scenario", FAILED)
def test_what_fails_before_it_begins(client, scenario, stream):
    status, kind, code = FAILED[scenario]
    error = check(client.create(f"[sim:{scenario}] Hello!", stream=stream), status)
    assert (error["type"], error["code"]) == (kind, code), error


def test_no_key(proxy):
    reply = httpx2.post(f"{proxy.base_url}/responses", json={"model": MODEL, "input": "x"}, timeout=PATIENCE)
    assert check(reply, 401)["type"] == "authentication_error"


def test_no_json(proxy, client):
    headers = {"Authorization": "Bearer codex-proxy", "Content-Type": "application/json"}
    reply = httpx2.post(f"{proxy.base_url}/responses", content=b"{", headers=headers, timeout=PATIENCE)
    assert check(reply, 400)["type"] == "invalid_request_error"
