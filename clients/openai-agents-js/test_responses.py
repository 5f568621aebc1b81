"""Features of the OpenAI Agents SDK for JavaScript that only the Responses API has."""

import pytest
from exercised import exercises

pytestmark = exercises("responses", "turns")


def texts(turn):
    return [part["text"] for item in turn["body"]["input"] if item["type"] == "message" for part in item["content"]]


@pytest.mark.parametrize("api", ["responses", pytest.param("websocket", marks=exercises("websocket"))])
def test_a_run_that_goes_on_from_a_response(sdk, backend, api):
    first, second = sdk("goOn", api=api, inputs=["My name is Ada.", "Who am I?"])
    assert "Who am I?" in second["output"]
    assert texts(backend.turns()[-1]) == ["My name is Ada.", first["output"], "Who am I?"]


def test_a_session_that_is_compacted(sdk, backend):
    done = sdk("converse", api="responses", inputs=["My name is Ada.", "Who am I?"], isCompacted=True)
    assert done["kept"][0][-1] == "compaction" and "Who am I?" in done["results"][1]["output"]
    turns = [turn["body"]["input"] for turn in backend.turns()]
    assert any("compaction" in [item["type"] for item in items] for items in turns)
