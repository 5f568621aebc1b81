"""The order of events, their lifecycles, and their sum; open_responses.py reads them."""

import pytest
from harness import WEATHER
from open_responses import read_stream

TOOL = {"type": "function", **WEATHER["function"]}
CUSTOM = {"type": "custom", "name": "patch"}

SCENARIOS = {
    "text": {},
    "text words": {"input": "[sim:text=Hello][sim:single-delta=9]"},
    "reasoning": {"input": "[sim:reasoning=always] Hello!", "reasoning": {"summary": "auto"}},
    "raw reasoning": {"input": "[sim:reasoning-text] Hello!"},
    "refusal": {"input": "[sim:refusal]"},
    "two messages": {"input": "[sim:commentary]"},
    "tool": {"input": "[sim:tool]", "tools": [TOOL]},
    "parallel tools": {"input": "[sim:parallel-tools]", "tools": [TOOL, {**TOOL, "name": "other"}]},
    "custom tool": {"input": "[sim:custom-tool]", "tools": [CUSTOM]},
    "search": {"input": "[sim:web-search]", "tools": [{"type": "web_search"}]},
    "schema": {"input": "[sim:json-schema]", "text": {"format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}}}},
    # Variations of the backend that a client must not see.
    "keepalive": {"input": "[sim:keepalive]"},
    "unknown events": {"input": "[sim:unknown]"},
    "older names": {"input": "[sim:legacy-delta]"},
    "unfinished items": {"input": "[sim:no-item-done]"},
    "whole output": {"input": "[sim:full-output]"},
    "no items": {"input": "[sim:no-items]"},
    "trailing": {"input": "[sim:trailing]"},
    "lines": {"input": "[sim:crlf][sim:split][sim:comments][sim:line-separators]"},
}
ENDINGS = {
    "incomplete-max-tokens": ("incomplete", "max_output_tokens"),
    "incomplete-content-filter": ("incomplete", "content_filter"),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_events(client, backend, name):
    reader = read_stream(client.create(**{"input": "Hello!", **SCENARIOS[name]}, stream=True))
    assert reader.response["status"] == "completed"
    (turn,) = backend.turns()
    assert turn["body"]["stream"] is True


@pytest.mark.parametrize("name", ["text", "tool", "reasoning", "refusal"])
def test_a_stream_adds_up_to_the_whole_response(client, name):
    asked = {"input": "Hello!", **SCENARIOS[name]}
    streamed = read_stream(client.create(**asked, stream=True)).response
    whole = client.create(**asked).json()

    def said(response):
        return [(item["type"], item.get("content"), item.get("summary"), item.get("name"), item.get("arguments")) for item in response["output"]]

    assert said(streamed) == said(whole)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_response_that_is_incomplete(client, ending):
    status, reason = ENDINGS[ending]
    response = read_stream(client.create(f"[sim:text=Hello][sim:{ending}]", stream=True)).response
    assert response["status"] == status and response["incomplete_details"]["reason"] == reason
    assert response["output"][-1]["status"] == "incomplete"


@pytest.mark.parametrize("failure, code", [("cut", "stream_truncated"), ("no-terminal", "stream_truncated"), ("error", "server_error"), ("failed=server_error", "server_error")])
def test_a_response_that_fails(client, failure, code):
    """ "Any error incurred while streaming will be followed by a `response.failed` event." """
    reader = read_stream(client.create(f"[sim:text=Hello to all of you][sim:{failure}]", stream=True))
    assert reader.response["status"] == "failed" and reader.response["error"]["code"] == code
    assert reader.response["error"]["message"]


def test_a_search_is_called_as_with_openai(client):
    """The specification wants `openai:web_search_call`, but every client knows the name in OpenAI's API."""
    response = read_stream(client.create(**SCENARIOS["search"], stream=True)).response
    assert any(item["type"] == "web_search_call" and item["status"] == "completed" for item in response["output"])
