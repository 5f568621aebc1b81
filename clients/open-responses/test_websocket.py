"""The WebSocket transport: consecutive turns with `response.create`, with the same events as HTTP streams."""

from harness import MODEL, WEATHER

TOOL = {"type": "function", **WEATHER["function"]}


def test_a_turn(client, backend):
    with client.connect() as socket:
        socket.create()
        assert socket.read().response["status"] == "completed"
    assert len(backend.turns()) == 1


def test_a_tool_and_its_output_with_what_is_new_only(client, backend):
    """State belongs to the connection, so responses with `store: false` can be continued, too."""
    with client.connect() as socket:
        socket.create("[sim:tool-once] Is it raining?", tools=[TOOL], store=False)
        first = socket.read().response
        call = next(item for item in first["output"] if item["type"] == "function_call")
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "It is."}
        socket.create([output], previous_response_id=first["id"], tools=[TOOL], store=False)
        second = socket.read().response
    assert any(item["type"] == "message" for item in second["output"])
    kinds = [item["type"] for item in backend.turns()[-1]["body"]["input"]]
    assert kinds[0] == "message" and kinds[-2:] == ["function_call", "function_call_output"]


def test_turns_are_sequential(client):
    with client.connect() as socket:
        socket.create("[sim:text=one]")
        socket.create("[sim:text=two]")
        said = [socket.read().response["output"][-1]["content"][0]["text"] for _ in range(2)]
    assert said == ["one", "two"]


def test_an_error_leaves_the_connection(client):
    with client.connect() as socket:
        for frame, code in [
            ({"type": "response.create", "model": MODEL, "input": 7}, None),
            ({"type": "response.create", "model": MODEL, "input": "x", "previous_response_id": "resp_0"}, "previous_response_not_found"),
            ({"type": "response.create", "model": "fake-model", "input": "x"}, "model_not_found"),
            ({"type": "something.else"}, None),
        ]:
            socket.send(frame)
            event = socket.receive()
            assert event["type"] == "error" and event["status"] in (400, 404), event
            assert set(event["error"]) == {"message", "type", "param", "code"}
            assert code is None or event["error"]["code"] == code
        socket.create()
        assert socket.read().response["status"] == "completed"


def test_a_failure_within_a_turn(client):
    with client.connect() as socket:
        socket.create("[sim:text=Hello to all][sim:no-terminal]")
        assert socket.read().response["status"] == "failed"
        socket.create()
        assert socket.read().response["status"] == "completed"
