"""Each fault as curl shows it: the status and the body, or the last event of a stream."""

import json
import subprocess

import pytest
from exercised import exercises
from faults import each_fault
from harness import KEY, PATIENCE, environment

pytestmark = exercises("failures")

# curl's exit code with `--fail-with-body` for an error status.
HTTP_ERROR = 22


def curl(url, body):
    command = ["curl", "-sS", "-N", "--fail-with-body", "--max-time", str(PATIENCE), "-w", "\n%{http_code}", "-d", json.dumps(body)]
    headers = ["-H", f"Authorization: Bearer {KEY}", "-H", "Content-Type: application/json"]
    done = subprocess.run([*command, *headers, url], env=environment(), capture_output=True, text=True)
    body, _, status = done.stdout.rpartition("\n")
    return done.returncode, int(status), body


def bodies(fault):
    text = f"{fault.words} Hello!"
    chat = {"model": fault.model, "messages": [{"role": "user", "content": text}]}
    return {"chat/completions": chat, "responses": {"model": fault.model, "input": text}}


@each_fault
@pytest.mark.parametrize("path", ["chat/completions", "responses"])
def test_whole(fault, failing, backend, path):
    exit_code, status, body = curl(f"{failing.base_url}/{path}", bodies(fault)[path])
    assert (exit_code, status) == (HTTP_ERROR, fault.status)
    error = json.loads(body)["error"]
    assert error["code"] == fault.code and fault.says in error["message"]
    assert len(backend.turns()) == fault.turns


@each_fault
@pytest.mark.parametrize("path", ["chat/completions", "responses"])
def test_streamed(fault, failing, backend, path):
    exit_code, status, body = curl(f"{failing.base_url}/{path}", {**bodies(fault)[path], "stream": True})
    if not fault.is_late:
        assert (exit_code, status) == (HTTP_ERROR, fault.status) and json.loads(body)["error"]["code"] == fault.code
        return
    assert (exit_code, status) == (0, 200)
    data = [line[6:] for line in body.splitlines() if line.startswith("data: ")]
    # After the error, a chat stream ends with `[DONE]`.
    last = json.loads(data[-1] if path == "responses" else data[-2])
    error = last["response"]["error"] if path == "responses" else last["error"]
    assert error["code"] == fault.code and fault.says in error["message"]
    assert '"finish_reason":"' not in body and "response.completed" not in body
    assert len(backend.turns()) == 1
