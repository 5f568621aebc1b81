"""Everything that the translation writes over its fixtures, read by the models of openai-python.

The SDK itself is lenient with what it gets; here its models are asked to validate.
"""

import json
from pathlib import Path

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter, ValidationError

FIXTURES = Path(__file__).resolve().parents[2] / "crates/codex-translate/tests/fixtures"
EVENT = TypeAdapter(ResponseStreamEvent)


def cases(name):
    return [pytest.param(file, id=file.parent.name) for file in sorted(FIXTURES.glob(f"*/{name}"))]


def data(file):
    """The data of each event in a stream."""
    lines = file.read_text(encoding="utf-8").split("\n")
    return [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]


def test_there_are_fixtures():
    assert len(cases("chunks.sse")) >= 60 and len(cases("responses.sse")) >= 10


@pytest.mark.parametrize("file", cases("chunks.sse"))
def test_chunks(file):
    for text in data(file):
        if text == "[DONE]":
            continue
        chunk = json.loads(text)
        if "error" in chunk:
            assert set(chunk["error"]) == {"message", "type", "param", "code"}
        else:
            ChatCompletionChunk.model_validate(chunk)


@pytest.mark.parametrize("file", cases("completion.json"))
def test_completions(file):
    ChatCompletion.model_validate_json(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", cases("responses.sse"))
def test_response_events(file):
    for text in data(file):
        event = json.loads(text)
        try:
            EVENT.validate_python(event)
        except ValidationError as error:
            # An event that the SDK does not know is passed on, and only that.
            assert [fault["type"] for fault in error.errors()] == ["union_tag_invalid"], f"{error}\n{text}"


@pytest.mark.parametrize("file", cases("response.json"))
def test_responses(file):
    Response.model_validate_json(file.read_text(encoding="utf-8"))
