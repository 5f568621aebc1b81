"""The official client with a WebSocket to the proxy: it sends only what is new, and the proxy adds the rest."""

import json
import subprocess

import pytest
from environments import node_packages
from exercised import exercises
from harness import PATIENCE, Backend, Proxy, environment

CODEX = node_packages("codex-cli") / "codex"
# The tool runs once: the simulator ignores the words when it sees their text again.
TASK = '[sim:tool-once=exec_command][sim:args-once={"cmd":"echo from-the-tool"}] hello'


@pytest.fixture
def own(tmp_path):
    with Backend(tmp_path) as backend:
        yield backend


@exercises("responses", "websocket", "tools")
def test_a_task_with_a_tool_is_completed_over_a_websocket(own, tmp_path):
    own.log_in(tmp_path / "proxy-home")
    home = tmp_path / "codex-home"
    home.mkdir()
    minted = own.control("POST", "tokens")
    names = ("id_token", "access_token", "refresh_token", "account_id")
    auth = {"auth_mode": "chatgpt", "OPENAI_API_KEY": None, "tokens": {name: minted[name] for name in names}}
    (home / "auth.json").write_text(json.dumps(auth | {"last_refresh": "2026-11-23T00:00:00Z"}))
    with Proxy(tmp_path / "proxy-home", **own.settings()) as proxy:
        (home / "config.toml").write_text(
            f'model = "gpt-5.5"\nmodel_provider = "tested"\nchatgpt_base_url = "{own.upstream_url}"\n'
            f'[model_providers.tested]\nname = "OpenAI"\nbase_url = "{proxy.base_url}"\nwire_api = "responses"\n'
            "supports_websockets = true\nrequires_openai_auth = true\n"
        )
        env = environment(CODEX_HOME=str(home), CODEX_CA_CERTIFICATE=str(own.ca), HOME=str(tmp_path))
        command = [CODEX, "exec", "--skip-git-repo-check", TASK]
        ran = subprocess.run(
            command, env=env, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE
        )
        assert ran.returncode == 0, f"{ran.stderr}\n{proxy.output}"
        turns = own.turns()
        assert proxy.stop() == 0
    assert "endpoint=\"websocket\"" in proxy.output and "status=101" in proxy.output, proxy.output
    outputs = [item for item in turns[-1]["body"]["input"] if item["type"] == "function_call_output"]
    assert len(outputs) == 1 and "from-the-tool" in outputs[0]["output"], turns[-1]
    # The backend gets the whole conversation, however much of it the client has sent.
    before, after = (turn["body"]["input"] for turn in turns[-2:])
    assert after[: len(before)] == before
