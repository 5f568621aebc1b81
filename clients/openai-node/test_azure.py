"""`AzureOpenAI` of openai-node: Azure's paths, its `api-version` and its `api-key` header."""

import pytest
from exercised import exercises
from harness import MODEL, ask


@pytest.fixture(params=["model", "deployment", "v1"])
def azure(request, program, proxy):
    """Calls a function of client.mjs with each way to name the endpoint; with a deployment, the path names the model."""
    settings = {
        "model": {"endpoint": proxy.url},
        "deployment": {"endpoint": proxy.url, "deployment": MODEL},
        "v1": {"baseURL": f"{proxy.url}/openai/v1"},
    }[request.param]
    azure = {"apiVersion": "2026-10-01-preview", **settings}
    return lambda name, **arguments: program.call(name, sdk={"azure": azure}, **arguments)


@exercises("chat", "stream", "whole")
def test_chat(azure, backend):
    text = azure("chat", body=ask(text="Tell me."))["choices"][0]["message"]["content"]
    chunks = azure("chatStream", body=ask(text="Tell me."))
    deltas = [choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]]
    assert "".join(deltas) == text
    assert [turn["body"]["model"] for turn in backend.turns()] == [MODEL, MODEL]


@exercises("responses", "stream", "turns")
def test_responses(azure):
    first = azure("responses", body={"model": MODEL, "input": "My name is Ada."})
    body = {"model": MODEL, "input": "Who am I?", "previous_response_id": first["id"]}
    last = azure("responsesStream", body=body)[-1]
    assert last["type"] == "response.completed" and last["response"]["previous_response_id"] == first["id"]


@exercises("models")
def test_models(azure):
    assert MODEL in [model["id"] for model in azure("models")]
