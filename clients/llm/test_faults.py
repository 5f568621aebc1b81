"""Each fault as llm shows it: one line on standard error, and exit code 1."""

import json

import pytest
from exercised import exercises
from faults import CONTENT_FILTER, CUT, each_fault

pytestmark = exercises("failures")

# The OpenAI SDK's own retries, which llm does not change.
RETRIES = 2


def check(fault, done, backend, is_late):
    assert done.returncode == 1
    assert bool(done.stdout) == is_late, "what came before the fault is shown"
    (line,) = done.stderr.splitlines()
    status = "" if is_late else f"Error code: {fault.status} - "
    assert line.startswith(f"Error: {status}") and fault.says in line
    assert len(backend.turns()) == (1 if is_late else fault.most_turns(RETRIES))


@each_fault
def test_streamed(failed, backend, fault):
    check(fault, failed("-m", "codex", f"{fault.words} Hello!"), backend, fault.is_late)


# The Responses API is used without streaming, as on the page.
@each_fault
def test_whole(failed, backend, fault):
    check(fault, failed("-m", "codex-responses", f"{fault.words} Hello!"), backend, is_late=False)


@pytest.mark.parametrize("fault", [CUT], ids=["cut"])
def test_chat_completions_whole(failed, backend, fault):
    check(fault, failed("-m", "codex", "--no-stream", f"{fault.words} Hello!"), backend, is_late=False)


@pytest.mark.parametrize("how", [[], ["--no-stream"]], ids=["stream", "whole"])
def test_a_content_filter_is_in_the_log(llm, how):
    llm.says("-m", "codex", *how, f"[sim:{CONTENT_FILTER}] Hello!")
    (logged,) = json.loads(llm.says("logs", "-c", "--json"))
    assert "content_filter" in json.dumps(logged["response_json"])


def test_why_the_page_has_the_responses_api_whole(llm, proxy):
    """llm ignores `response.failed`. Once it no longer does, the page does not need `can_stream: false`."""
    done = llm("openai", "endpoint", proxy.base_url, "--responses", "--key", "codex-proxy", "-m", "gpt-5.5", f"{CUT.words} Hello!")
    assert done.returncode == 0 and CUT.says not in done.stderr
