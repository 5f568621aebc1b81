"""What the specification says about requests and non-streaming responses."""

import pytest
from harness import MODEL, WEATHER
from open_responses import check_response

TOOL = {"type": "function", "description": "The weather at a place", **WEATHER["function"]}
OTHER = {"type": "function", "name": "get_time", "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}}}
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


def user(content):
    return {"type": "message", "role": "user", "content": content}


def completed(reply):
    """Returns the response in a successful reply."""
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "application/json"
    response = check_response(reply.json())
    assert response["status"] == "completed"
    return response


def of_type(response, kind):
    return [item for item in response["output"] if item["type"] == kind]


def sent(backend):
    (turn,) = backend.turns()
    return turn["body"]


@pytest.mark.parametrize("input", ["Hello!", [user("Hello!")], [user([{"type": "input_text", "text": "Hello!"}])]])
def test_text(client, backend, input):
    response = completed(client.create(input))
    assert response["model"] == MODEL
    (message,) = of_type(response, "message")
    assert message["role"] == "assistant" and message["content"][0]["text"]
    # "A string input is interpreted as a user message."
    (item,) = sent(backend)["input"]
    assert (item["role"], item["content"]) == ("user", [{"type": "input_text", "text": "Hello!"}])


@pytest.mark.parametrize("role", ["system", "developer"])
def test_a_system_prompt(client, backend, role):
    completed(client.create([{"type": "message", "role": role, "content": "Speak as a pirate."}, user("Hello!")]))
    first, second = sent(backend)["input"]
    # The backend uses one name for both.
    assert first["role"] == "developer" and first["content"][0]["text"] == "Speak as a pirate." and second["role"] == "user"


def test_instructions(client, backend):
    assert completed(client.create(instructions="Be brief."))["instructions"] == "Be brief."
    assert sent(backend)["instructions"] == "Be brief."


def test_an_image(client, backend):
    content = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": PIXEL, "detail": "auto"}]
    completed(client.create([user(content)]))
    assert sent(backend)["input"][0]["content"] == content


def test_a_file(client, backend):
    file = {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}
    completed(client.create([user([{"type": "input_text", "text": "What is this?"}, file])]))
    assert sent(backend)["input"][0]["content"][1] == file


def test_several_turns(client, backend):
    turns = [user("My name is Ada."), {"type": "message", "role": "assistant", "content": "Hello, Ada!"}, user("Who am I?")]
    completed(client.create(turns))
    assert [item["role"] for item in sent(backend)["input"]] == ["user", "assistant", "user"]


def test_a_tool_and_its_output(client, backend):
    asked = user("[sim:tool-once] Is it raining in Paris?")
    first = completed(client.create([asked], tools=[TOOL]))
    (call,) = of_type(first, "function_call")
    assert call["name"] == "get_weather" and call["status"] == "completed" and call["arguments"].startswith("{")
    assert first["tools"][0]["name"] == "get_weather" and first["tool_choice"] == "auto"

    backend.forget()
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "64 degrees and clear"}
    second = completed(client.create([asked, *first["output"], output], tools=[TOOL]))
    assert of_type(second, "message") and not of_type(second, "function_call")
    # "Items are bidirectional": an output is a valid input.
    kinds = [item["type"] for item in sent(backend)["input"]]
    assert kinds == ["message", "reasoning", "function_call", "function_call_output"]


def test_parallel_tools(client):
    response = completed(client.create("[sim:parallel-tools]", tools=[TOOL, OTHER]))
    assert len({call["call_id"] for call in of_type(response, "function_call")}) == 2
    assert response["parallel_tool_calls"] is True


@pytest.mark.parametrize("choice", ["auto", "required", "none", {"type": "function", "name": "get_weather"}])
def test_tool_choice(client, backend, choice):
    response = completed(client.create(tools=[TOOL], tool_choice=choice))
    assert sent(backend)["tool_choice"] == choice
    calls = of_type(response, "function_call")
    assert bool(calls) == (choice != "none" and choice != "auto"), calls


def test_allowed_tools(client, backend):
    """ "All tools are still surfaced to the model in context": the backend supports this value and enforces it."""
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "get_time"}]}
    response = completed(client.create("[sim:tool=get_time]", tools=[TOOL, OTHER], tool_choice=allowed))
    assert [call["name"] for call in of_type(response, "function_call")] == ["get_time"]
    assert response["tool_choice"] == allowed and sent(backend)["tool_choice"] == allowed
    assert [tool["name"] for tool in sent(backend)["tools"]] == ["get_weather", "get_time"]


def test_reasoning(client, backend):
    reasoning = {"effort": "high", "summary": "auto"}
    response = completed(client.create("[sim:reasoning] Hello!", reasoning=reasoning, include=["reasoning.encrypted_content"]))
    item = of_type(response, "reasoning")[0]
    assert item["summary"][0]["text"] and item["encrypted_content"]
    assert response["reasoning"]["effort"] == "high" and sent(backend)["reasoning"]["effort"] == "high"

    # It is returned unchanged; only the backend can interpret it.
    backend.forget()
    completed(client.create([user("Hello!"), *response["output"], user("And now?")], store=False))
    again = next(item for item in sent(backend)["input"] if item["type"] == "reasoning")
    assert again["encrypted_content"] == item["encrypted_content"]


def test_a_previous_response(client, backend):
    first = completed(client.create("My name is Ada."))
    assert first["store"] is True
    backend.forget()
    second = completed(client.create("Who am I?", previous_response_id=first["id"]))
    assert second["previous_response_id"] == first["id"]
    # "previous_response.input → previous_response.output → input"
    said = [item for item in sent(backend)["input"] if item["type"] == "message"]
    assert [item["role"] for item in said] == ["user", "assistant", "user"]
    assert said[0]["content"][0]["text"] == "My name is Ada." and said[2]["content"][0]["text"] == "Who am I?"


def test_what_is_not_stored_is_not_gone_on_from(client, backend):
    first = completed(client.create(store=False))
    assert first["store"] is False
    backend.forget()
    reply = client.create("And now?", previous_response_id=first["id"])
    assert reply.status_code == 400 and reply.json()["error"]["code"] == "previous_response_not_found"
    assert backend.turns() == []


def test_truncation(client, backend):
    """The backend never truncates: `disabled` is its behaviour anyway, and `auto` only permits truncation. The reply has
    what the request says."""
    for truncation in ("auto", "disabled"):
        assert completed(client.create(truncation=truncation))["truncation"] == truncation
    assert all("truncation" not in turn["body"] for turn in backend.turns())


def test_a_limit(client):
    response = client.create("[sim:text=one two three four five six seven eight]", max_output_tokens=3).json()
    assert check_response({**dict.fromkeys(("completed_at", "presence_penalty", "frequency_penalty")), **response})
    assert response["status"] == "incomplete" and response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response["output"][-1]["status"] == "incomplete"


def test_members_that_are_not_known(client, backend):
    completed(client.create(something_new={"a": 1}, temperature=0.5, metadata={"a": "b"}))
    assert not {"something_new", "temperature", "metadata"} & set(sent(backend))


def test_a_compaction(client):
    reply = client.post({"model": MODEL, "input": [user("My name is Ada.")]}, "responses/compact")
    compaction = reply.json()
    assert reply.status_code == 200 and compaction["object"] == "response.compaction"
    assert {"id", "created_at", "output", "usage"} <= set(compaction)
    assert any(item["type"] == "compaction" and item["encrypted_content"] for item in compaction["output"])
    completed(client.create([*compaction["output"], user("Who am I?")]))
