"""The official client: the reference for requests to the backend, and also a client of the proxy.

It runs with the simulated backend directly and through the proxy; what reaches the backend is compared header by header and key by
key. The differences are listed here and explained in the documentation of `codex_upstream::requests`.
"""

import pytest
from codex_cli import Codex
from exercised import exercises
from harness import KEY, Backend, Proxy, ask, post

# The one of the newest models with the ordinary request form, which the proxy uses for all of them.
MODEL = "gpt-5.5"

# These describe a terminal session, which the proxy does not have.
TERMINAL = {"x-codex-window-id", "x-codex-turn-metadata"}

# The tool runs once: the simulator ignores the words when it sees their text again.
TASK = '[sim:tool-once=exec_command][sim:args-once={"cmd":"echo from-the-tool"}] hello'


@pytest.fixture
def own(tmp_path):
    """A separate backend, without the requests of other tests."""
    with Backend(tmp_path) as backend:
        yield backend


def codex(directory, backend, base_url, *, prompt=TASK, is_expired=False, model=MODEL, **options):
    """Runs `codex exec` with a login of `backend`, sending its turns to `base_url`."""
    login = backend.control("POST", "tokens")
    if is_expired:
        backend.control("POST", "invalidate")
    return Codex(directory, backend, base_url, login=login, model=model, **options).exec(prompt)


def direct(tmp_path, backend, **options):
    ran = codex(tmp_path / "direct", backend, f"{backend.upstream_url}/codex", **options)
    assert ran.code == 0, ran.stderr
    return backend.turns()


def through_the_proxy(tmp_path, backend, **options):
    home = tmp_path / "proxy-home"
    backend.log_in(home)
    # Without a key, programs on this machine are served, whatever credentials they send.
    with Proxy(home, **backend.settings()) as proxy:
        ran = codex(tmp_path / "proxied", backend, proxy.base_url, **options)
        assert ran.code == 0, f"{ran.stderr}\n{proxy.output}"
        return backend.turns()


def names(request):
    return [name for name, _ in request["headers"]]


def header(request, name):
    return dict(request["headers"]).get(name)


def outline(value):
    """Returns keys and types, without values that differ between runs."""
    if isinstance(value, dict):
        return {key: outline(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [outline(inner) for inner in value]
    return type(value).__name__


def test_it_completes_a_task_with_a_tool_against_the_simulator(own, tmp_path):
    turns = direct(tmp_path, own)
    assert [turn["version"] for turn in turns] == ["HTTP/2.0", "HTTP/2.0"]
    outputs = [item for item in turns[1]["body"]["input"] if item["type"] == "function_call_output"]
    assert len(outputs) == 1 and "from-the-tool" in outputs[0]["output"]
    paths = [request["path"] for request in own.control("GET", "requests")["requests"]]
    assert "/backend-api/codex/models" in paths and "/backend-api/wham/accounts/check" in paths


def test_it_refreshes_its_token_at_the_simulator(own, tmp_path):
    assert direct(tmp_path, own, prompt="hello", is_expired=True)
    assert own.control("GET", "refreshes")["granted"] == 1


def test_the_lite_shape_is_accepted(own, tmp_path):
    (turn,) = direct(tmp_path, own, prompt="hello", model="gpt-6.1-sol")
    assert header(turn, "x-openai-internal-codex-responses-lite") == "true"


def test_the_program_sends_the_headers_that_the_cli_sends(own, tmp_path):
    theirs = direct(tmp_path, own, prompt="hello")[0]
    own.forget()
    home = tmp_path / "proxy-home"
    own.log_in(home)
    with Proxy(home, CODEX_PROXY_API_KEY=KEY, **own.settings()) as proxy:
        assert post(proxy, ask() | {"model": MODEL}).status_code == 200
    (ours,) = own.turns()
    # In the same order, too.
    assert names(ours) == [name for name in names(theirs) if name not in TERMINAL]
    varying = {"x-client-request-id", "session-id", "thread-id", "authorization", "content-length"}
    same = [name for name in names(ours) if name not in varying | {"originator", "user-agent", "chatgpt-account-id"}]
    assert {name: header(ours, name) for name in same} == {name: header(theirs, name) for name in same}
    for request in (ours, theirs):
        ids = [header(request, name) for name in ("x-client-request-id", "session-id", "thread-id")]
        # A version 7 UUID, three times and in the body.
        assert ids == [request["body"]["prompt_cache_key"]] * 3 and ids[0][14] == "7"
    # `codex exec` has a name of its own; the proxy is the interactive client. Both repeat it after the terminal.
    system = header(theirs, "user-agent").partition("(")[2].partition(")")[0]
    assert header(theirs, "user-agent").startswith(f"codex_exec/0.171.0 ({system})")
    assert header(ours, "user-agent") == f"codex-tui/0.171.0 ({system}) xterm-256color (codex-tui; 0.171.0)"
    assert set(ours["body"]) <= set(theirs["body"]) | {"instructions"}


def test_the_program_asks_the_backend_what_the_cli_asks(own, tmp_path):
    direct(tmp_path, own, prompt="hello")
    theirs = own.control("GET", "requests")["requests"]
    own.forget()
    through_the_proxy(tmp_path, own)
    ours = [one for one in own.control("GET", "requests")["requests"] if "codex_cli_rs" in header(one, "user-agent")]
    for path in ("/backend-api/codex/models", "/backend-api/wham/accounts/check"):
        (their, *_), (our, *_) = ([one for one in all if one["path"] == path] for all in (theirs, ours))
        assert names(our) == names(their), path
        assert (our["query"], our["method"]) == (their["query"], their["method"])


@exercises("responses", "stream", "tools")
def test_what_it_says_through_the_proxy_reaches_the_backend_as_it_was(own, tmp_path):
    direct_turns = direct(tmp_path, own)
    own.forget()
    turns = through_the_proxy(tmp_path, own)
    assert len(turns) == len(direct_turns) == 2
    for proxied, plain in zip(turns, direct_turns):
        # Omitted by the client, and added by the proxy for models that require it.
        added = set(proxied["body"]) - set(plain["body"])
        assert added <= {"instructions"} and set(plain["body"]) <= set(proxied["body"])
        for key in ("tools", "tool_choice", "parallel_tool_calls", "reasoning", "store", "stream", "include", "text"):
            assert proxied["body"][key] == plain["body"][key], key
        kinds = [[(item["type"], item.get("role")) for item in turn["body"]["input"]] for turn in (proxied, plain)]
        assert kinds[0] == kinds[1]
        for ours, theirs in zip(proxied["body"]["input"], plain["body"]["input"]):
            assert outline(ours) == outline(theirs)


@exercises("models")
def test_its_catalogue_comes_from_the_proxy(own, tmp_path):
    (turn,) = through_the_proxy(tmp_path, own, prompt="hello")
    # Only the proxy queries the backend: the client's query goes to the proxy, and the backend's instructions come back.
    asked = [one for one in own.control("GET", "requests")["requests"] if one["path"].endswith("/codex/models")]
    assert {header(one, "originator") for one in asked} == {"codex_cli_rs"}
    assert "These instructions come from a simulated backend." in turn["body"]["input"][0]["content"][0]["text"]


@pytest.mark.parametrize("run", [direct, through_the_proxy])
def test_it_compacts_its_conversation_and_goes_on(own, tmp_path, run):
    # More than the limit set here before compaction, and less after it.
    own.control("POST", "scenario", {"scenario": 'tool=exec_command,args={"cmd":"seq 3000"}'})
    turns = run(tmp_path, own, prompt="hello", config="model_auto_compact_token_limit = 6500\n")
    kinds = [[item["type"] for item in turn["body"]["input"]] for turn in turns]
    assert [turn["status"] for turn in turns] == [200] * 3
    assert kinds[1][-2:] == ["function_call_output", "compaction_trigger"] and kinds[2][-1] == "compaction"


# Over HTTP the reply begins when the status is no longer held back, after 10 seconds.
@pytest.mark.parametrize("websockets, millis", [(False, 14000), (True, 6000)])
def test_it_hears_that_a_silent_turn_is_alive(own, tmp_path, websockets, millis):
    home = tmp_path / "proxy-home"
    own.log_in(home)
    login = own.control("POST", "tokens")
    prompt = f"[sim:stall=output][sim:stall-for={millis}][sim:keepalive=500] hello"
    impatient = ["-c", "model_providers.tested.stream_idle_timeout_ms=3000", "-c", "model_providers.tested.stream_max_retries=0"]
    with Proxy(home, **own.settings()) as proxy:
        client = Codex(tmp_path / "proxied", own, proxy.base_url, login=login, model=MODEL, websockets=websockets)
        ran = client.exec(prompt, *impatient)
    assert ran.code == 0, f"{ran.stderr}\n{proxy.output}"
    assert "hello" in ran.stdout and len([turn for turn in own.turns() if turn["method"] == "POST"]) == 1


def test_it_leaves_the_default_tier_out(own, tmp_path):
    for tier, hint in (("default", f"model={MODEL}"), ("fast", f"model={MODEL};tier=priority")):
        (turn,) = direct(tmp_path / tier, own, prompt="hello", config=f'service_tier = "{tier}"\n')
        assert header(turn, "x-codex-routing-hint") == hint
        assert turn["body"].get("service_tier") == (None if tier == "default" else "priority")
        own.forget()


def messages(requests):
    return [request["body"] for request in requests if request["method"] == "FRAME"]


def upgrades(requests):
    return [request for request in requests if request["method"] == "GET"]


def test_it_completes_a_task_over_a_websocket(own, tmp_path):
    requests = direct(tmp_path, own, websockets=True)
    assert [request["method"] for request in requests] == ["GET", "FRAME", "FRAME", "FRAME"]
    assert {request["connection"] for request in requests} == {requests[0]["connection"]}
    warm_up, task, outputs = messages(requests)
    assert warm_up["generate"] is False and "previous_response_id" not in warm_up
    # Later requests continue the previous response and send only what is new.
    assert all(message["previous_response_id"].startswith("resp_") for message in (task, outputs))
    (output,) = outputs["input"]
    assert output["type"] == "function_call_output" and "from-the-tool" in output["output"]


def test_its_messages_have_the_lite_shape_without_its_header(own, tmp_path):
    requests = direct(tmp_path, own, prompt="hello", model="gpt-6.1-sol", websockets=True)
    stand_in = "ws_request_header_x_openai_internal_codex_responses_lite"
    assert {message["client_metadata"].get(stand_in) for message in messages(requests)} == {"true"}
    (upgrade,) = upgrades(requests)
    assert header(upgrade, "x-openai-internal-codex-responses-lite") is None


def test_it_uses_http_where_there_are_no_websockets(own, tmp_path):
    own.control("POST", "upgrades", {"status": 426})
    requests = direct(tmp_path, own, websockets=True)
    assert not messages(requests) and [turn["method"] for turn in requests].count("POST") == 2


def test_a_new_connection_is_made_when_one_has_come_to_its_end(own, tmp_path):
    prompt = "[sim:error-first-once=websocket_connection_limit_reached] hello"
    requests = direct(tmp_path, own, prompt=prompt, websockets=True)
    assert len(upgrades(requests)) == 2 and "previous_response_id" not in messages(requests)[-1]


def test_the_program_opens_the_websocket_that_the_cli_opens(own, tmp_path):
    theirs = direct(tmp_path, own, prompt="hello", websockets=True)
    own.forget()
    home = tmp_path / "proxy-home"
    own.log_in(home)
    with Proxy(home, "--transport", "websocket", CODEX_PROXY_API_KEY=KEY, **own.settings()) as proxy:
        assert post(proxy, ask() | {"model": MODEL}).status_code == 200
    ours = own.turns()
    (their_upgrade,), (our_upgrade,) = upgrades(theirs), upgrades(ours)
    # In the same order, too; the compression is not offered.
    left_out = TERMINAL | {"sec-websocket-extensions"}
    assert names(our_upgrade) == [name for name in names(their_upgrade) if name not in left_out]
    for name in ("connection", "upgrade", "sec-websocket-version", "openai-beta", "x-codex-routing-hint"):
        assert header(our_upgrade, name) == header(their_upgrade, name), name
    (message,) = messages(ours)
    assert set(message) <= set(messages(theirs)[-1]) | {"instructions"}
    # Nothing about a terminal session; everything else equals the official client's.
    assert set(message["client_metadata"]) <= set(messages(theirs)[-1]["client_metadata"])


@exercises("responses", "websocket", "tools")
def test_its_task_through_the_proxy_goes_on_from_response_to_response(own, tmp_path):
    home = tmp_path / "proxy-home"
    own.log_in(home)
    with Proxy(home, "--transport", "auto", **own.settings()) as proxy:
        ran = codex(tmp_path / "proxied", own, proxy.base_url)
        assert ran.code == 0, f"{ran.stderr}\n{proxy.output}"
    requests = own.turns()
    assert [request["method"] for request in requests] == ["GET", "FRAME", "FRAME"]
    (output,) = messages(requests)[1]["input"]
    assert output["type"] == "function_call_output" and "from-the-tool" in output["output"]
