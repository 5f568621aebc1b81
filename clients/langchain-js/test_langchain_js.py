"""LangChain's ChatOpenAI in JavaScript, with Chat Completions and with the Responses API."""

import pytest
from exercised import exercises
from harness import MODEL
from node import Thrown

PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="

both_apis = pytest.mark.parametrize("responses", [False, True], ids=["chat", "responses"])
streamed_and_whole = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@both_apis
@streamed_and_whole
@exercises("chat", "responses", "stream", "whole", "usage")
def test_reply(langchain, chat, backend, responses, stream):
    reply = langchain.call("ask", settings=chat(responses), content="What is new?", stream=stream)
    assert "What is new?" in reply["text"]
    usage = reply["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0
    (turn,) = backend.turns()
    assert turn["body"]["model"] == MODEL


@both_apis
@streamed_and_whole
@exercises("tools", "turns")
def test_parallel_tools_and_their_answers(langchain, chat, backend, responses, stream):
    prompt = "[sim:parallel-tools] The weather and the time?"
    reply = langchain.call("useTools", settings=chat(responses), prompt=prompt, stream=stream)
    assert [call["name"] for call in reply["calls"]] == ["get_weather", "get_time"] and "18" in reply["text"]
    items = backend.turns()[-1]["body"]["input"]
    assert [item["call_id"] for item in items if "call_id" in item] == [call["id"] for call in reply["calls"]] * 2


@both_apis
@pytest.mark.parametrize(
    "method, words", [("jsonSchema", "json-schema"), ("functionCalling", "tool=Event")], ids=["schema", "tool"]
)
@exercises("schemas")
def test_structured_output(langchain, chat, backend, responses, method, words):
    event = langchain.call("structured", settings=chat(responses), prompt=f"[sim:{words}] An event.", method=method)
    assert set(event) == {"name", "seats"} and isinstance(event["seats"], int)
    body = backend.turns()[-1]["body"]
    assert (body["text"]["format"]["name"] if method == "jsonSchema" else body["tool_choice"]["name"]) == "Event"


@both_apis
@exercises("images")
def test_image(langchain, chat, backend, responses):
    content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    langchain.call("ask", settings=chat(responses), content=content)
    (turn,) = backend.turns()
    assert [part["image_url"] for part in turn["body"]["input"][0]["content"] if part["type"] == "input_image"] == [PIXEL]


@streamed_and_whole
@exercises("reasoning", "turns")
def test_reasoning_is_shown_and_goes_back(langchain, chat, backend, stream):
    reasoning = {"effort": "high", "summary": "auto"}
    # LangChain's `zdrEnabled` means that the backend stores nothing.
    given = chat(True, reasoning=reasoning, zdrEnabled=True, modelKwargs={"include": ["reasoning.encrypted_content"]})
    prompts = ["[sim:reasoning] Why?", "[sim:reasoning] And then?"]
    reply = langchain.call("converse", settings=given, prompts=prompts, stream=stream)
    thoughts = [block for block in reply["contentBlocks"] if block["type"] == "reasoning"]
    assert "Reading the question" in str(thoughts) and "Reading the question" not in reply["text"]
    first, second = backend.turns()
    assert first["body"]["reasoning"] == reasoning
    assert [item["type"] for item in second["body"]["input"]] == ["message", "reasoning", "message", "message"]
    assert second["body"]["input"][1]["encrypted_content"]


@both_apis
def test_sampling_parameters_are_left_out(langchain, chat, backend, responses):
    given = chat(responses, temperature=0.1, topP=0.5, maxTokens=1000, user="somebody", truncation="auto")
    assert "Hello!" in langchain.call("ask", settings=given, content="Hello!")["text"]
    assert not {"temperature", "top_p", "max_output_tokens", "user", "truncation"} & set(backend.turns()[-1]["body"])


@exercises("turns")
def test_a_previous_response_is_gone_on_from(langchain, chat, backend):
    first = langchain.call("ask", settings=chat(True), content="One")
    given = chat(True, modelKwargs={"previous_response_id": first["metadata"]["id"]})
    assert "Two" in langchain.call("ask", settings=given, content="Two")["text"]
    items = backend.turns()[-1]["body"]["input"]
    assert [item["role"] for item in items if item["type"] == "message"] == ["user", "assistant", "user"]

    given = chat(True, modelKwargs={"previous_response_id": "resp_1"})
    with pytest.raises(Thrown) as caught:
        langchain.call("ask", settings=given, content="Hello!")
    assert caught.value.properties["code"] == "previous_response_not_found"
