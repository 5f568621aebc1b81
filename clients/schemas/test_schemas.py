"""Everything that the translation writes over its fixtures, read by the models of openai-python.

The SDK itself is lenient with what it gets; here its models are asked to validate.
"""

import json
from pathlib import Path
from typing import get_args

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import ValidationError

FIXTURES = Path(__file__).resolve().parents[2] / "crates/codex-translate/tests/fixtures"
# Each kind of event by its type.
EVENTS = {
    kind: model
    for model in get_args(get_args(ResponseStreamEvent)[0])
    for kind in get_args(model.model_fields["type"].annotation)
}


def cases(name):
    return [pytest.param(file, id=file.parent.name) for file in sorted(FIXTURES.glob(f"*/{name}"))]


def data(file):
    """The data of each event in a stream."""
    lines = file.read_text(encoding="utf-8").split("\n")
    return [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]


# What the models want and the truth does not allow: a count that older replies of the backend do not have (wire.md §2.6), and an
# error's code out of a list that holds neither the backend's own (wire.md §3.6) nor a word for a reply that broke off.
TOLERATED = ("input_tokens_details", "cache_write_tokens"), ("error", "code")


def validate(model, value):
    try:
        model.model_validate(value)
    except ValidationError as error:
        faults = [fault for fault in error.errors() if fault["loc"][-2:] not in TOLERATED]
        assert faults == [], json.dumps(value)


def test_there_are_fixtures():
    assert len(cases("chunks.sse")) >= 60 and len(cases("responses.sse")) >= 10
    assert len(EVENTS) > 50


@pytest.mark.parametrize("file", cases("chunks.sse"))
def test_chunks(file):
    for text in data(file):
        if text == "[DONE]":
            continue
        chunk = json.loads(text)
        if "error" in chunk:
            assert set(chunk["error"]) == {"message", "type", "param", "code"}
        else:
            validate(ChatCompletionChunk, chunk)


@pytest.mark.parametrize("file", cases("completion.json"))
def test_completions(file):
    validate(ChatCompletion, json.loads(file.read_text(encoding="utf-8")))


@pytest.mark.parametrize("file", cases("responses.sse"))
def test_response_events(file):
    for text in data(file):
        event = json.loads(text)
        if event["type"] == "response.output_item.added" and event["item"]["type"] == "web_search_call":
            # What is searched for is not known yet, and the backend leaves it out (wire.md §3.4).
            event["item"].setdefault("action", {"type": "search", "query": ""})
        # An event that the SDK does not know is passed on as it came.
        if model := EVENTS.get(event["type"]):
            validate(model, event)


@pytest.mark.parametrize("file", cases("response.json"))
def test_responses(file):
    validate(Response, json.loads(file.read_text(encoding="utf-8")))
