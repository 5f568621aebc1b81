"""The running program's replies to everything the backend may do, validated by openai-python's models."""

import httpx2
import pytest
from harness import KEY, MODEL, PATIENCE, TIME, WEATHER
from openai.types import ImagesResponse, Model
from openai.types.chat import ChatCompletion
from openai.types.responses import CompactedResponse, Response
from openai_models import data, validate, validate_chunk, validate_event

TOOLS = [WEATHER, TIME]
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}

# The words that select the simulator's answer, and what the request needs for it.
REPLIES = {
    "": {},
    "text=Hello": {},
    "tool": {"tools": TOOLS},
    "parallel-tools": {"tools": TOOLS},
    "custom-tool": {"tools": [{"type": "custom", "custom": {"name": "patch"}}]},
    "reasoning=always": {"reasoning_effort": "high"},
    "reasoning=blank": {"reasoning_effort": "high"},
    "reasoning-text": {},
    "refusal": {},
    "commentary": {},
    "commentary-only": {},
    "json-schema": {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}},
    "web-search": {"web_search_options": {}},
    "image": {"tools": [{"type": "image_generation"}]},
    "big=50": {},
    "single-delta=1000": {},
    "line-separators": {},
    "no-items": {},
    "incomplete-max-tokens": {},
    "incomplete-content-filter": {},
    "keepalive": {},
    "unknown": {},
    "late-limits=50": {},
    "full-output": {},
    "legacy-delta": {},
    "no-item-done": {},
    "crlf": {},
    "split": {},
    "comments": {},
    "trailing": {},
    # Failures within a stream; without streaming they are statuses (test_refusals.py).
    "text=Hello failed=server_error": {},
    "text=Hello error": {},
    "text=Hello error=flat": {},
    "cut": {},
    "no-terminal": {},
}
FAILING = ("failed", "error", "cut", "no-terminal")
by_reply = pytest.mark.parametrize("words", REPLIES, ids=[words or "plain" for words in REPLIES])


def fails(words):
    return words.split(" ")[-1].startswith(FAILING)


def ask(proxy, path, body):
    reply = httpx2.post(f"{proxy.base_url}/{path}", json=body, headers={"authorization": f"Bearer {KEY}"}, timeout=PATIENCE)
    assert reply.status_code == 200, reply.text
    return reply


def said(words):
    return "".join(f"[sim:{word}]" for word in words.split()) + " Hello!"


def chat(words, **more):
    return {"model": MODEL, "messages": [{"role": "user", "content": said(words)}], **REPLIES[words], **more}


def responses(words, **more):
    """The same as a Responses request, in which the proxy also accepts chat parameters."""
    return {"model": MODEL, "input": said(words), "reasoning": {"summary": "auto"}, **REPLIES[words], **more}


@by_reply
def test_chunks(proxy, words):
    reply = ask(proxy, "chat/completions", chat(words, stream=True, stream_options={"include_usage": True}))
    chunks = data(reply.text)
    for chunk in chunks:
        validate_chunk(chunk)
    assert ("error" in chunks[-1]) == fails(words) and reply.text.endswith("data: [DONE]\n\n")


@by_reply
def test_events(proxy, words):
    reply = ask(proxy, "responses", responses(words, stream=True))
    events = data(reply.text)
    for event in events:
        validate_event(event)
    assert (events[-1]["type"] == "response.failed") == fails(words)


@pytest.mark.parametrize("words", [words for words in REPLIES if not fails(words)])
def test_whole_replies(proxy, words):
    validate(ChatCompletion, ask(proxy, "chat/completions", chat(words)).json())
    validate(Response, ask(proxy, "responses", responses(words)).json())


def test_several_choices(proxy):
    completion = ask(proxy, "chat/completions", chat("", n=2)).json()
    validate(ChatCompletion, completion)
    assert len(completion["choices"]) == 2


def test_a_compaction(proxy):
    validate(CompactedResponse, ask(proxy, "responses/compact", {"model": MODEL, "input": "Hello!"}).json())


@pytest.mark.parametrize("more", [{}, {"response_format": "url", "n": 2}], ids=["base64", "url"])
def test_images(proxy, more):
    pictures = ask(proxy, "images/generations", {"prompt": "A fox", **more}).json()
    # The backend chooses the size, including sizes missing from the model's list (docs/backend.md §2.1).
    validate(ImagesResponse, {**pictures, "size": "1024x1024"})


def test_models(proxy):
    listed = httpx2.get(f"{proxy.base_url}/models", headers={"authorization": f"Bearer {KEY}"}, timeout=PATIENCE).json()
    assert listed["object"] == "list" and listed["data"]
    for model in listed["data"]:
        validate(Model, model)
