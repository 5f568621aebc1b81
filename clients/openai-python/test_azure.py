"""`AzureOpenAI` of openai-python: Azure's paths, its `api-version` and its `api-key` header."""

import pytest
from exercised import exercises
from harness import KEY, MODEL, ask
from openai import AzureOpenAI

VERSION = "2026-10-01-preview"


@pytest.fixture(params=["model", "deployment", "base URL", "v1"])
def azure(request, proxy):
    """A client for each way to name the endpoint; with a deployment, the path names the model."""
    settings = {
        "model": {"azure_endpoint": proxy.url},
        "deployment": {"azure_endpoint": proxy.url, "azure_deployment": MODEL},
        "base URL": {"base_url": f"{proxy.url}/openai/deployments/{MODEL}"},
        "v1": {"base_url": f"{proxy.url}/openai/v1"},
    }[request.param]
    return AzureOpenAI(api_key=KEY, api_version=VERSION, max_retries=0, **settings)


@exercises("chat", "stream", "whole")
def test_chat(azure, backend):
    asked = ask(text="Tell me.")
    whole = azure.chat.completions.with_raw_response.create(**asked)
    assert "x-codex-proxy-dropped" not in whole.headers
    text = whole.parse().choices[0].message.content
    chunks = list(azure.chat.completions.create(**asked, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == text
    assert [turn["body"]["model"] for turn in backend.turns()] == [MODEL, MODEL]


@exercises("responses", "stream", "turns")
def test_responses(azure):
    first = azure.responses.create(model=MODEL, input="My name is Ada.")
    *_, last = azure.responses.create(model=MODEL, input="Who am I?", previous_response_id=first.id, stream=True)
    assert last.type == "response.completed" and last.response.previous_response_id == first.id
    assert azure.responses.retrieve(first.id).id == first.id


@exercises("models")
def test_models(azure):
    assert MODEL in [model.id for model in azure.models.list()]


def test_a_deployment_counts_more_than_the_body(proxy, backend):
    azure = AzureOpenAI(api_key=KEY, api_version=VERSION, azure_endpoint=proxy.url, azure_deployment=MODEL)
    reply = azure.chat.completions.with_raw_response.create(**ask(text="Hi") | {"model": "another"})
    assert "model dropped" in reply.headers["x-codex-proxy-dropped"]
    assert backend.turns()[0]["body"]["model"] == MODEL
