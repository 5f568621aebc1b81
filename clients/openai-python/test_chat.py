"""Chat Completions with openai-python."""

import base64
import json

import pydantic
import pytest
from exercised import exercises
from harness import MODEL, TIME, WEATHER, ask

PIXEL = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8cfc0f01f0005"
        "0001ff5c5b2d2f0000000049454e44ae426082"
    )
).decode()


def whole(stream):
    """Folds a stream into one message, and checks the rules for every stream (docs/clients/quirks.md, rules 1 to 4)."""
    text, calls, finishes, usages, roles = "", {}, [], [], []
    for chunk in stream:
        assert chunk.object == "chat.completion.chunk"
        if chunk.usage:
            usages.append(chunk.usage)
        for choice in chunk.choices:
            assert not finishes, "a chunk after the finish"
            delta = choice.delta
            roles += [delta.role] if delta.role else []
            text += delta.content or ""
            for call in delta.tool_calls or []:
                known = calls.setdefault(call.index, {"id": call.id, "name": call.function.name, "arguments": ""})
                assert known["id"] and known["name"], "the first delta of a call names it"
                known["arguments"] += call.function.arguments or ""
            finishes += [choice.finish_reason] if choice.finish_reason else []
    assert roles == ["assistant"]
    assert len(finishes) == 1
    assert list(calls) == list(range(len(calls)))
    return text, list(calls.values()), finishes[0], usages


@exercises("chat", "whole")
def test_whole_reply(client, backend):
    reply = client.chat.completions.create(**ask(text="What is new?"))
    assert reply.object == "chat.completion" and reply.model == MODEL
    assert "What is new?" in reply.choices[0].message.content
    assert reply.choices[0].message.role == "assistant" and reply.choices[0].finish_reason == "stop"
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens > 0
    (turn,) = backend.turns()
    assert turn["status"] == 200 and turn["body"]["stream"] is True and turn["body"]["store"] is False


@exercises("chat", "stream")
def test_stream_says_the_same_as_the_whole_reply(client):
    expected = client.chat.completions.create(**ask(text="Tell me.")).choices[0].message.content
    text, calls, finish, usages = whole(client.chat.completions.create(**ask(text="Tell me."), stream=True))
    assert (text, calls, finish, usages) == (expected, [], "stop", [])


@exercises("usage")
def test_usage_comes_only_when_asked_for(client):
    stream = client.chat.completions.create(**ask(), stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    assert [bool(chunk.usage) for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens > 0


@pytest.mark.parametrize("framing", ["split", "crlf", "keepalive", "unknown", "comments", "content-type", "full-output"])
def test_framing_of_the_backend_does_not_show(client, framing):
    expected = client.chat.completions.create(**ask(text="Ünïcode ✓")).choices[0].message.content
    text, _, finish, _ = whole(client.chat.completions.create(**ask(framing, "Ünïcode ✓"), stream=True))
    assert (text, finish) == (expected, "stop")


@exercises("tools", "turns")
@pytest.mark.parametrize("stream", [False, True])
def test_tool_round_trip(client, backend, stream):
    body = ask("tool=get_weather", "The weather in Paris?", tools=[WEATHER, TIME])
    if stream:
        _, (call,), finish, _ = whole(client.chat.completions.create(**body, stream=True))
        message = {"role": "assistant", "content": None, "tool_calls": [
            {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}]}
    else:
        choice = client.chat.completions.create(**body).choices[0]
        finish, message = choice.finish_reason, choice.message
        assert choice.message.content is None
        (made,) = choice.message.tool_calls
        assert made.type == "function"
        call = {"id": made.id, "name": made.function.name, "arguments": made.function.arguments}
    assert finish == "tool_calls" and call["name"] == "get_weather"
    assert isinstance(json.loads(call["arguments"])["location"], str)

    body["messages"] += [message, {"role": "tool", "tool_call_id": call["id"], "content": "18 °C"}]
    reply = client.chat.completions.create(**body)
    assert "18 °C" in reply.choices[0].message.content and reply.choices[0].finish_reason == "stop"
    items = backend.turns()[-1]["body"]["input"]
    ids = {item["type"]: item["call_id"] for item in items if "call_id" in item}
    assert ids == {"function_call": call["id"], "function_call_output": call["id"]}, "ids go back as they came"


@exercises("tools")
@pytest.mark.parametrize("stream", [False, True])
def test_parallel_tools(client, stream):
    body = ask("parallel-tools", tools=[WEATHER, TIME])
    if stream:
        _, calls, finish, _ = whole(client.chat.completions.create(**body, stream=True))
        names, ids = [call["name"] for call in calls], {call["id"] for call in calls}
        assert all(json.loads(call["arguments"]) for call in calls)
    else:
        choice = client.chat.completions.create(**body).choices[0]
        finish = choice.finish_reason
        names = [call.function.name for call in choice.message.tool_calls]
        ids = {call.id for call in choice.message.tool_calls}
    assert (names, len(ids), finish) == (["get_weather", "get_time"], 2, "tool_calls")


def test_a_long_tool_name_comes_back_as_it_was(client):
    name = "mcp__a_server_with_a_very_long_name__and_a_tool_whose_name_is_no_shorter_either"
    tool = {"type": "function", "function": {**WEATHER["function"], "name": name}}
    reply = client.chat.completions.create(**ask("tool", tools=[tool]))
    assert reply.choices[0].message.tool_calls[0].function.name == name


@exercises("images")
@pytest.mark.parametrize("url", [f"data:image/png;base64,{PIXEL}", "https://example.com/cat.png"])
def test_image_input(client, backend, url):
    content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url, "detail": "low"}}]
    reply = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": content}])
    assert reply.choices[0].finish_reason == "stop"
    (turn,) = backend.turns()
    parts = [part for item in turn["body"]["input"] for part in item["content"] if part["type"] == "input_image"]
    assert parts == [{"type": "input_image", "image_url": url, "detail": "low"}]


def test_system_and_developer_messages_both_reach_the_backend(client, backend):
    messages = [
        {"role": "system", "content": "Speak like a sailor."},
        {"role": "developer", "content": "Never mention whales."},
        {"role": "user", "content": "Hello!"},
    ]
    client.chat.completions.create(model=MODEL, messages=messages)
    sent = json.dumps(backend.turns()[-1]["body"])
    assert "Speak like a sailor." in sent and "Never mention whales." in sent
    assert '"role": "system"' not in sent


@exercises("reasoning")
def test_reasoning_effort_and_summary(client, backend):
    reply = client.chat.completions.create(**ask("reasoning"), reasoning_effort="high")
    assert "Reading the question" in reply.choices[0].message.reasoning_content
    assert "Reading the question" not in reply.choices[0].message.content
    assert backend.turns()[-1]["body"]["reasoning"]["effort"] == "high"


class Event(pydantic.BaseModel):
    name: str
    attendees: list[str]
    seats: int


@exercises("schemas")
def test_json_schema_is_kept_and_parsed(client, backend):
    reply = client.chat.completions.parse(**ask("json-schema"), response_format=Event)
    assert isinstance(reply.choices[0].message.parsed, Event)
    form = backend.turns()[-1]["body"]["text"]["format"]
    assert (form["type"], form["name"], form["strict"]) == ("json_schema", "Event", True)


@exercises("stream", "schemas")
def test_stream_helper(client):
    with client.chat.completions.stream(**ask("json-schema"), response_format=Event) as stream:
        kinds = {event.type for event in stream}
        assert isinstance(stream.get_final_completion().choices[0].message.parsed, Event)
    assert {"chunk", "content.delta", "content.done"} <= kinds


def test_json_object(client):
    reply = client.chat.completions.create(**ask(text="Answer in JSON."), response_format={"type": "json_object"})
    assert isinstance(json.loads(reply.choices[0].message.content), dict)


@pytest.mark.parametrize(
    "scenario, finish", [("incomplete-max-tokens", "length"), ("incomplete-content-filter", "content_filter")]
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_incomplete_reply_says_why(client, scenario, finish, stream):
    if stream:
        assert whole(client.chat.completions.create(**ask(scenario), stream=True))[2] == finish
    else:
        assert client.chat.completions.create(**ask(scenario)).choices[0].finish_reason == finish


def test_refusal(client):
    message = client.chat.completions.create(**ask("refusal")).choices[0].message
    assert "can't help" in message.refusal and not message.content


def test_citations(client):
    message = client.chat.completions.create(**ask("web-search")).choices[0].message
    (annotation,) = message.annotations
    citation = annotation.url_citation
    assert message.content[citation.start_index : citation.end_index] == "Example Weather"


def test_what_the_backend_cannot_do_is_named(client):
    reply = client.chat.completions.with_raw_response.create(**ask(), temperature=0.2, logit_bias={"50256": -100})
    assert "temperature" in reply.headers["x-codex-proxy-dropped"]
    assert "logit_bias" in reply.headers["x-codex-proxy-dropped"]
    assert reply.parse().choices[0].finish_reason == "stop"


@exercises("turns", "usage")
def test_the_prompt_cache_is_hit_by_a_conversation(client):
    body = ask(text="A first question that is long enough to be worth a cache entry.")
    first = client.chat.completions.create(**body)
    body["messages"] += [first.choices[0].message, {"role": "user", "content": "And then?"}]
    second = client.chat.completions.create(**body)
    assert second.usage.prompt_tokens_details.cached_tokens > 0
