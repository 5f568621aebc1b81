"""Validates replies and events with the models of openai-python, which are generated from OpenAI's description of its API.

The SDK itself is lenient about what it receives; here its models validate strictly.
"""

import json
from typing import get_args

from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseStreamEvent
from pydantic import ValidationError

# The model of each event, by type.
EVENTS = {
    kind: model
    for model in get_args(get_args(ResponseStreamEvent)[0])
    for kind in get_args(model.model_fields["type"].annotation)
}

# What the models want and the truth does not allow: counts that the backend's replies do not have (docs/backend.md §2.6, §3.2), and an error's
# code out of a list that holds neither the backend's own (docs/backend.md §3.6) nor one for a truncated reply.
TOLERATED = ("input_tokens_details", "cache_write_tokens"), ("tool_usage", "web_search"), ("error", "code")


def validate(model, value):
    try:
        model.model_validate(value)
    except ValidationError as error:
        faults = [fault for fault in error.errors() if fault["loc"][-2:] not in TOLERATED]
        assert faults == [], json.dumps(value)


def validate_chunk(chunk):
    if "error" in chunk:
        assert set(chunk["error"]) == {"message", "type", "param", "code"}
    else:
        validate(ChatCompletionChunk, chunk)


def validate_event(event):
    if event["type"] == "response.output_item.added" and event["item"]["type"] == "web_search_call":
        # The search query is not known yet, and the backend omits it (docs/backend.md §3.4).
        event["item"].setdefault("action", {"type": "search", "query": ""})
    # An event unknown to the SDK passes through unchanged.
    if model := EVENTS.get(event["type"]):
        validate(model, event)


def data(stream):
    """Returns the data of each event in a stream, without the final `[DONE]`."""
    found = [line.removeprefix("data: ") for line in stream.split("\n") if line.startswith("data: ")]
    return [json.loads(text) for text in found if text != "[DONE]"]
