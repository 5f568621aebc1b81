"""The official client with a WebSocket to the proxy: it sends only what is new, and the proxy adds the rest."""

import pytest
from codex_cli import Codex
from exercised import exercises
from harness import Backend, Proxy

# The tool runs once: the simulator ignores the words when it sees their text again.
CALL = '[sim:tool-once=exec_command][sim:args-once={"cmd":"echo from-the-tool"}] hello'
# The one tool of the Lite shape runs JavaScript, and the simulator writes none.
LITE_CALL, SYNTAX_ERROR = "[sim:custom-tool-once] hello", "SyntaxError"


@pytest.fixture
def own(tmp_path):
    with Backend(tmp_path) as backend:
        yield backend


@exercises("responses", "websocket", "tools")
@pytest.mark.parametrize(
    ("model", "task", "output"),
    [("gpt-5.5", CALL, "from-the-tool"), ("gpt-6.2-sol", LITE_CALL, SYNTAX_ERROR)],
    ids=["ordinary", "lite"],
)
def test_a_task_with_a_tool_is_completed_over_one_websocket(own, tmp_path, model, task, output):
    own.log_in(tmp_path / "proxy-home")
    with Proxy(tmp_path / "proxy-home", **own.settings()) as proxy:
        login = own.control("POST", "tokens")
        codex = Codex(tmp_path / "codex", own, proxy.base_url, model=model, websockets=True, login=login)
        ran = codex.exec(task)
        assert ran.code == 0, f"{ran.stderr}\n{proxy.output}"
        turns = own.turns()
        assert proxy.stop() == 0
    # The client opens another one when a request fails, its warm-up for example.
    assert proxy.output.count('endpoint="websocket"') == 1 and "status=101" in proxy.output, proxy.output
    outputs = [item for item in turns[-1]["body"]["input"] if item["type"].endswith("call_output")]
    assert len(outputs) == 1 and output in str(outputs[0]["output"]), turns[-1]
    # The backend gets the whole conversation, however much of it the client has sent.
    before, after = (turn["body"]["input"] for turn in turns[-2:])
    assert after[: len(before)] == before
