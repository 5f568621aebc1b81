"""The program as curl sees it: raw bytes, headers and statuses, with `serve --simulate`."""

import json
import subprocess

import pytest
from exercised import exercises
from harness import KEY, PATIENCE, TIME, WEATHER, Proxy, ask, environment

JSON = ("-H", "Content-Type: application/json")
BEARER = ("-H", f"Authorization: Bearer {KEY}")


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    with Proxy(tmp_path_factory.mktemp("home"), "--simulate", CODEX_PROXY_API_KEY=KEY) as proxy:
        yield proxy
        assert proxy.stop() == 0, proxy.output


def curl(*arguments, stdin=None):
    """Runs curl and returns the status, the headers (names in lower case) and the body."""
    command = ["curl", "--silent", "--show-error", "--no-buffer", "--max-time", str(PATIENCE), "--include", *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, env=environment())
    assert done.returncode == 0, f"{command}\n{done.stderr.decode()}"
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    # The interim reply to a large upload.
    while head.startswith(b"HTTP/1.1 100"):
        head, _, body = body.partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
    return int(first.split()[1]), headers, body.decode()


def post(url, body, *arguments):
    text = body if isinstance(body, (bytes, str)) else json.dumps(body)
    return curl(*arguments, *JSON, "--data-binary", "@-", url, stdin=text if isinstance(text, bytes) else text.encode())


def events(body):
    """Returns the data of each event of a stream."""
    frames = [frame for frame in body.split("\n\n") if frame]
    return [line[6:] for frame in frames for line in frame.split("\n") if line.startswith("data: ")]


@pytest.mark.parametrize("key", [f"Authorization: Bearer {KEY}", f"authorization: bearer {KEY}", f"X-API-Key: {KEY}"])
def test_the_key_in_each_of_its_places(simulated, key):
    status, headers, body = post(f"{simulated.base_url}/chat/completions", ask(), "-H", key)
    assert status == 200 and headers["content-type"] == "application/json"
    assert json.loads(body)["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("arguments", [(), ("-H", "X-API-Key: wrong"), ("-u", f"user:{KEY}")])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/models", "/nowhere"])
def test_nothing_is_served_without_the_key(simulated, arguments, path):
    status, headers, body = curl(*arguments, f"{simulated.url}{path}")
    assert status == 401 and headers["www-authenticate"].startswith("Bearer")
    assert "CODEX_PROXY_API_KEY" in json.loads(body)["error"]["message"]


def test_health_needs_no_key(simulated):
    status, _, body = curl(f"{simulated.url}/health")
    assert status == 200 and json.loads(body)["status"] == "ok"


@exercises("chat", "stream")
def test_chat_stream(simulated):
    status, headers, body = post(f"{simulated.base_url}/chat/completions", ask(stream=True), *BEARER)
    assert status == 200 and headers["content-type"].startswith("text/event-stream")
    *chunks, done = events(body)
    assert done == "[DONE]" and body.endswith("data: [DONE]\n\n")
    assert all(line == "" or line.startswith("data: ") for line in body.split("\n")), "no id, no event, no retry line"
    chunks = [json.loads(chunk) for chunk in chunks]
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) == 1


@exercises("responses", "stream")
def test_responses_stream(simulated):
    body = {"model": "gpt-5.1", "input": "Hello!", "stream": True}
    status, headers, body = post(f"{simulated.base_url}/responses", body, *BEARER)
    assert status == 200 and headers["content-type"].startswith("text/event-stream")
    parsed = [json.loads(event) for event in events(body) if event != "[DONE]"]
    assert parsed[0]["type"] == "response.created" and parsed[-1]["type"] == "response.completed"
    assert parsed[-1]["response"]["output"][-1]["content"][0]["text"]


@exercises("tools", "whole", "stream")
def test_tools(simulated):
    body = ask("parallel-tools", tools=[WEATHER, TIME])
    _, _, whole = post(f"{simulated.base_url}/chat/completions", body, *BEARER)
    calls = json.loads(whole)["choices"][0]["message"]["tool_calls"]
    _, _, stream = post(f"{simulated.base_url}/chat/completions", {**body, "stream": True}, *BEARER)
    deltas = [
        delta
        for chunk in events(stream)[:-1]
        for choice in json.loads(chunk)["choices"]
        for delta in choice["delta"].get("tool_calls", [])
    ]
    for index, call in enumerate(calls):
        parts = [delta for delta in deltas if delta["index"] == index]
        assert parts[0]["type"] == "function" and parts[0]["id"].startswith("call_")
        assert parts[0]["function"]["name"] == call["function"]["name"]
        assert all(set(part) == {"index", "function"} for part in parts[1:])
        arguments = "".join(part["function"].get("arguments", "") for part in parts)
        assert json.loads(arguments) == json.loads(call["function"]["arguments"])


@pytest.mark.parametrize("path", ["/chat/completions", "/v1/v1/chat/completions", "/v1/chat/completions/"])
def test_every_spelling_of_the_path(simulated, path):
    assert post(f"{simulated.url}{path}", ask(), *BEARER)[0] == 200


def test_paths_and_methods_that_do_not_exist(simulated):
    status, _, body = curl(*BEARER, f"{simulated.url}/v1/nowhere")
    assert status == 404 and "/v1/chat/completions" in json.loads(body)["error"]["message"]
    status, headers, body = curl(*BEARER, f"{simulated.url}/v1/chat/completions")
    assert status == 405 and headers["allow"] == "POST" and json.loads(body)["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", ["chat/completions", "responses"])
@pytest.mark.parametrize("body", ["", "{", "[1]", "null", '{"model": []}', b'{"model": "\xff"}', "[" * 100_000])
def test_invalid_json_and_wrong_types(simulated, path, body):
    status, _, answer = post(f"{simulated.base_url}/{path}", body, *BEARER)
    error = json.loads(answer)["error"]
    assert status == 400 and error["type"] == "invalid_request_error" and error["message"]


def test_missing_messages_and_missing_input(simulated):
    status, _, body = post(f"{simulated.base_url}/chat/completions", {"model": "gpt-5.1"}, *BEARER)
    assert status == 400 and json.loads(body)["error"]["param"] == "messages"
    status, _, body = post(f"{simulated.base_url}/responses", {"model": "gpt-5.1"}, *BEARER)
    assert status == 400 and json.loads(body)["error"]["param"] == "input"


@pytest.mark.parametrize("encoding", [(), ("-H", "Transfer-Encoding: chunked")], ids=["sized", "chunked"])
def test_a_body_over_the_limit(simulated, tmp_path, encoding):
    body = tmp_path / "body.json"
    with body.open("wb") as file:
        file.write(b'{"model": "gpt-5.1", "messages": [{"role": "user", "content": "')
        file.write(b"x" * (64 * 1024 * 1024))
        file.write(b'"}]}')
    url = f"{simulated.base_url}/chat/completions"
    status, _, answer = curl(*BEARER, *JSON, *encoding, "--data-binary", f"@{body}", url)
    assert status == 413 and json.loads(answer)["error"]["code"] == "request_too_large"
    assert curl(f"{simulated.url}/health")[0] == 200


@exercises("failures")
def test_a_fault_in_the_stream_is_its_last_event(simulated):
    _, _, body = post(f"{simulated.base_url}/chat/completions", ask("cut", stream=True), *BEARER)
    *_, fault, done = events(body)
    assert done == "[DONE]" and json.loads(fault)["error"]["code"] == "stream_truncated"
    assert '"finish_reason":"' not in body


def test_without_a_key_this_machine_is_served_and_no_web_page(tmp_path):
    with Proxy(tmp_path, "--simulate") as proxy:
        url = f"{proxy.base_url}/models"
        assert curl(url)[0] == 200
        assert curl("-H", "Origin: https://evil.example", url)[0] == 403
        assert curl("-H", "Host: evil.example", url)[0] == 403
        assert curl("-H", "X-Forwarded-For: 192.0.2.1", url)[0] == 403
