"""Everything that the translation writes for its fixtures, validated by openai-python's models."""

import json
from pathlib import Path

import pytest
from openai.types.chat import ChatCompletion
from openai.types.responses import Response
from openai_models import EVENTS, data, validate, validate_chunk, validate_event

FIXTURES = Path(__file__).resolve().parents[2] / "crates/codex-translate/tests/fixtures"


def cases(name):
    return [pytest.param(file, id=file.parent.name) for file in sorted(FIXTURES.glob(f"*/{name}"))]


def test_there_are_fixtures():
    assert len(cases("chunks.sse")) >= 60 and len(cases("responses.sse")) >= 10
    assert len(EVENTS) > 50


@pytest.mark.parametrize("file", cases("chunks.sse"))
def test_chunks(file):
    for chunk in data(file.read_text(encoding="utf-8")):
        validate_chunk(chunk)


@pytest.mark.parametrize("file", cases("completion.json"))
def test_completions(file):
    validate(ChatCompletion, json.loads(file.read_text(encoding="utf-8")))


@pytest.mark.parametrize("file", cases("responses.sse"))
def test_response_events(file):
    for event in data(file.read_text(encoding="utf-8")):
        validate_event(event)


@pytest.mark.parametrize("file", cases("response.json"))
def test_responses(file):
    validate(Response, json.loads(file.read_text(encoding="utf-8")))
