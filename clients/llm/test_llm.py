"""The command `llm`, with the models of its page."""

import base64
import json

import pytest
from exercised import exercises

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
WEATHER = '''
def get_weather(location: str) -> str:
    "The weather at a place"
    return f"18 °C at {location}"

def get_time(zone: str) -> str:
    "The time in a zone"
    return f"18 o'clock in {zone}"
'''

both_models = pytest.mark.parametrize("model", ["codex", "codex-responses"])
streamed_and_whole = pytest.mark.parametrize("how", [[], ["--no-stream"]], ids=["stream", "whole"])


@both_models
@streamed_and_whole
@exercises("chat", "responses", "stream", "whole", "usage")
def test_prompt(llm, backend, model, how):
    done = llm("-m", model, "-s", "Speak like a sailor.", "-u", *how, "What is new?")
    assert done.returncode == 0 and "What is new?" in done.stdout
    assert "Token usage: " in done.stderr and " output" in done.stderr
    (turn,) = backend.turns()
    assert turn["body"]["model"] == "gpt-5.5" and "Speak like a sailor." in str(turn["body"])


@both_models
@exercises("turns")
def test_a_conversation_goes_on(llm, backend, model):
    llm.says("-m", model, "One")
    assert "Two" in llm.says("-c", "Two")
    items = backend.turns()[-1]["body"]["input"]
    assert [item["role"] for item in items if item["type"] == "message"] == ["user", "assistant", "user"]
    thoughts = [item["encrypted_content"] for item in items if item["type"] == "reasoning"]
    assert len(thoughts) == (1 if model == "codex-responses" else 0)


@exercises("turns")
def test_an_interactive_chat(llm, backend):
    said = llm.says("chat", "-m", "codex", stdin="One\nTwo\nexit\n")
    assert "“One”" in said and "“Two”" in said
    assert [len(turn["body"]["input"]) for turn in backend.turns()] == [1, 3]


@both_models
@streamed_and_whole
@exercises("tools", "turns")
def test_parallel_tools_and_their_answers(llm, backend, model, how):
    said = llm.says("-m", model, "--functions", WEATHER, *how, "[sim:parallel-tools] The weather and the time?")
    assert "18" in said
    calls, answers = backend.turns()
    assert [tool["name"] for tool in calls["body"]["tools"]] == ["get_weather", "get_time"]
    sent = [(item["type"], item["call_id"]) for item in answers["body"]["input"] if "call_id" in item]
    assert [kind for kind, _ in sent] == ["function_call"] * 2 + ["function_call_output"] * 2
    assert [call for _, call in sent[:2]] == [call for _, call in sent[2:]]


@exercises("tools")
def test_a_tool_of_llm(llm, backend):
    done = llm("-m", "codex", "-T", "llm_time", "--td", "[sim:tool=llm_time] What time is it?")
    assert done.returncode == 0 and "utc_time" in done.stdout and "Tool call: llm_time" in done.stderr
    assert len(backend.turns()) == 2


@both_models
@exercises("schemas")
def test_schema(llm, backend, model):
    said = json.loads(llm.says("-m", model, "--schema", "name, age int", "[sim:json-schema] Invent a dog."))
    assert set(said) == {"name", "age"} and isinstance(said["age"], int)
    assert backend.turns()[-1]["body"]["text"]["format"]["type"] == "json_schema"


@both_models
@exercises("images")
def test_attachment(llm, backend, tmp_path, model):
    file = tmp_path / "pixel.png"
    file.write_bytes(base64.b64decode(PIXEL))
    llm.says("-m", model, "-a", str(file), "What is this?")
    (turn,) = backend.turns()
    (sent,) = [part["image_url"] for part in turn["body"]["input"][-1]["content"] if part["type"] == "input_image"]
    assert sent == f"data:image/png;base64,{PIXEL}"


@both_models
@exercises("reasoning")
def test_reasoning(llm, backend, model):
    done = llm("-m", model, "-o", "reasoning_effort", "high", "[sim:reasoning] Why?")
    assert done.returncode == 0 and "Why?" in done.stdout and "Reading the question" not in done.stdout
    assert "Reading the question" not in done.stderr
    assert backend.turns()[-1]["body"]["reasoning"]["effort"] == "high"


@exercises("models")
def test_an_endpoint_without_the_file(llm, proxy):
    assert "gpt-5.5" in llm.says("openai", "endpoint", proxy.base_url, "--models", "--key", "codex-proxy").splitlines()
