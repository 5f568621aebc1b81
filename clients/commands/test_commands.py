"""The command line: the errors for an invalid setting, a missing login or a port in use."""

import json
import os
import pty
import re
import socket
import stat
import subprocess

import pytest
from harness import BINARIES, KEY, Program, Proxy, ask, environment, post


def run(*arguments, **settings):
    """Runs the program to its end and returns its exit code and output."""
    with Program(BINARIES / "codex-proxy", *arguments, env=environment(**settings)) as program:
        return program.wait(), program.output


def told(output):
    """The one line that tells of an error."""
    (line,) = [line for line in output.splitlines() if line.startswith("codex-proxy: ")]
    return line


def test_help_and_version():
    code, output = run("--help")
    assert code == 0 and all(command in output for command in ("login", "serve", "status"))
    code, output = run("version")
    assert code == 0 and output.startswith("codex-proxy ")


@pytest.mark.parametrize("arguments", [(), ("sreve",), ("serve", "--port", "many"), ("serve", "-p", "70000")])
def test_a_wrong_command_line(arguments):
    code, output = run(*arguments)
    assert code not in (0, 101) and output and "panicked" not in output


@pytest.mark.parametrize(
    "setting, value",
    [
        ("CODEX_PROXY_UPSTREAM_URL", "http://backend.example/backend-api"),
        ("CODEX_PROXY_UPSTREAM_URL", "nonsense"),
        ("CODEX_PROXY_AUTH_URL", "ftp://127.0.0.1"),
        ("CODEX_PROXY_CA", "does-not-exist.pem"),
        ("CODEX_PROXY_LOG", "codex_auth=loud"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, setting, value):
    code, output = run("serve", "-p", "0", CODEX_PROXY_HOME=str(tmp_path), **{setting: value})
    assert code == 64 and setting in told(output)


@pytest.mark.parametrize(
    "arguments, meant",
    [
        (("sreve",), "did you mean `serve`?"),
        (("serve", "--prot", "1"), "did you mean `--port`?"),
        (("service", "instal"), "did you mean `install`?"),
        (("serve", "--config", "x"), "codex-proxy --config"),
    ],
)
def test_what_was_meant_is_suggested(arguments, meant):
    code, output = run(*arguments)
    assert code == 64 and meant in told(output)


def test_the_configuration_file(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text('port = 0\nhost = "127.0.0.1"\napi_key = "hunter2"\n\n[aliases]\nwork = "gpt-5.5-high"\n')
    file.chmod(0o644)
    home = {"CODEX_PROXY_HOME": str(tmp_path)}
    code, output = run("config", "show", "--json", **home)
    warning, shown = output.split("{", 1)
    assert code == 0 and "chmod 600" in warning and "hunter2" not in output
    settings = json.loads("{" + shown)
    assert settings["aliases"]["value"] == "work=gpt-5.5-high"
    assert settings["port"] == {"value": "0", "source": "file", "place": {"path": str(file), "line": 1}, "reloads": False}
    assert settings["api_key"]["value"] == "(set)" and settings["home"]["place"] == "CODEX_PROXY_HOME"
    file.chmod(0o600)
    with Program(BINARIES / "codex-proxy", "serve", "--simulate", env=environment(**home)) as server:
        assert server.line(r"http://(127\.0\.0\.1):\d+")
        assert "chmod" not in server.output
    file.write_text("port = 0\naliasses = 1\n")
    code, output = run("serve", "--simulate", **home)
    assert code == 64 and "config.toml line 2: `aliasses` is not a setting; did you mean `aliases`?" in told(output)


@pytest.mark.parametrize("more, is_colored", [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colours_on_a_terminal_alone(tmp_path, more, is_colored):
    """The report is complete even without a network: it says that there is no login."""
    settings = {"CODEX_PROXY_UPSTREAM_URL": "http://127.0.0.1:9/x", "CODEX_PROXY_AUTH_URL": "http://127.0.0.1:9"}
    env = environment(CODEX_PROXY_HOME=str(tmp_path), TERM="xterm", **settings) | more
    terminal, end = pty.openpty()
    command = [BINARIES / "codex-proxy", "doctor", "-p", "0"]
    with subprocess.Popen(command, env=env, stdout=end, stderr=subprocess.DEVNULL) as program:
        os.close(end)
        output = b""
        # At the end, Linux says that the other side is gone.
        try:
            while read := os.read(terminal, 4096):
                output += read
        except OSError:
            pass
        assert program.wait() == 1
    os.close(terminal)
    assert b"credentials" in output and (b"\x1b[31mFAIL" in output) == is_colored
    assert "\x1b" not in run("doctor", "-p", "0", CODEX_PROXY_HOME=str(tmp_path), **settings)[1]


def test_a_port_in_use(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, output = run("serve", "--host", "127.0.0.1", "-p", port, "--simulate", CODEX_PROXY_HOME=str(tmp_path))
    assert code == 1 and port in told(output) and "-p" in told(output)


def test_status_without_a_login(tmp_path):
    code, output = run("status", CODEX_PROXY_HOME=str(tmp_path))
    assert code == 1 and "codex-proxy login" in output
    assert list(tmp_path.iterdir()) == [], "looking leaves nothing behind"


def test_status_with_a_login(backend, tmp_path):
    backend.log_in(tmp_path)
    kept = (tmp_path / "credentials.json").read_text()
    code, output = run("status", CODEX_PROXY_HOME=str(tmp_path), **backend.settings())
    assert code == 0 and "user@example.com" in output
    secrets = [json.loads(kept)[name] for name in ("access_token", "refresh_token")]
    assert not any(secret in output for secret in secrets)
    assert (tmp_path / "credentials.json").read_text() == kept


@pytest.mark.parametrize("command", [("status",), ("serve", "-p", "0")])
@pytest.mark.parametrize("content", ["", "{", "[]", '{"refresh_token": "x"}'])
def test_damaged_credentials_are_named_and_kept(tmp_path, command, content):
    file = tmp_path / "credentials.json"
    file.write_text(content)
    code, output = run(*command, CODEX_PROXY_HOME=str(tmp_path))
    assert code == 1 and str(file) in told(output)
    assert file.read_text() == content


@pytest.mark.parametrize("command", [("status",), ("serve", "-p", "0")])
def test_unreadable_credentials_are_named(tmp_path, command):
    # What nobody can read as a file, not even root.
    file = tmp_path / "credentials.json"
    file.mkdir()
    code, output = run(*command, CODEX_PROXY_HOME=str(tmp_path))
    assert code == 1 and str(file) in told(output)
    assert file.is_dir()


def test_a_request_without_a_login_is_told_to_log_in(backend, tmp_path):
    with Proxy(tmp_path, CODEX_PROXY_API_KEY=KEY, **backend.settings()) as proxy:
        reply = post(proxy, ask())
        assert reply.status_code == 401 and "codex-proxy login" in reply.json()["error"]["message"]
        # A login while the server runs is picked up.
        backend.log_in(tmp_path)
        assert post(proxy, ask()).status_code == 200


def test_an_expired_login_without_a_refresh_token_is_told_to_log_in(backend, tmp_path):
    backend.log_in(tmp_path)
    file = tmp_path / "credentials.json"
    kept = json.loads(file.read_text()) | {"expires_at": 1}
    del kept["refresh_token"]
    file.write_text(json.dumps(kept))
    with Proxy(tmp_path, CODEX_PROXY_API_KEY=KEY, **backend.settings()) as proxy:
        reply = post(proxy, ask())
        assert reply.status_code == 401 and "codex-proxy login" in reply.json()["error"]["message"]
    assert json.loads(file.read_text()) == kept


def test_an_expired_login_is_refreshed_and_stored(backend, tmp_path):
    backend.log_in(tmp_path)
    file = tmp_path / "credentials.json"
    before = json.loads(file.read_text()) | {"expires_at": 1, "note": "kept"}
    file.write_text(json.dumps(before))
    with Proxy(tmp_path, CODEX_PROXY_API_KEY=KEY, **backend.settings()) as proxy:
        assert post(proxy, ask()).status_code == 200
        assert post(proxy, ask()).status_code == 200
        output = proxy.output
    after = json.loads(file.read_text())
    assert after["refresh_token"] != before["refresh_token"] and after["expires_at"] > 1 and after["note"] == "kept"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    uses = {use["refresh_token"]: use["uses"] for use in backend.control("GET", "refreshes")["uses"]}
    assert uses[before["refresh_token"]] == 1 and after["refresh_token"] not in uses
    assert not any(tokens[name] in output for tokens in (before, after) for name in ("access_token", "refresh_token"))


def test_status_says_it_in_json(backend, tmp_path):
    backend.log_in(tmp_path)
    code, output = run("status", "--json", CODEX_PROXY_HOME=str(tmp_path), **backend.settings())
    told = json.loads(output)
    assert code == 0 and told["usable"] and told["plan"] == "plus"
    assert [window["name"] for window in told["quota"]["windows"]][:2] == ["5h", "weekly"]


def confirm(home, answer, settings):
    """Runs `logout --revoke` on a terminal, answers its question, and returns its exit code and output."""
    terminal, end = pty.openpty()
    env = environment(CODEX_PROXY_HOME=str(home), **settings)
    with Program(BINARIES / "codex-proxy", "logout", "--revoke", env=env, stdin=end) as program:
        os.close(end)
        program.line("has to log in again")
        os.write(terminal, answer)
        code = program.wait()
    os.close(terminal)
    return code, program.output


def test_logout_asks_before_it_revokes(backend, tmp_path):
    backend.log_in(tmp_path)
    file = tmp_path / "credentials.json"
    kept = file.read_text()
    backend.forget()
    code, output = confirm(tmp_path, b"n\n", backend.settings())
    assert code == 1 and "nothing was changed" in output and file.read_text() == kept
    assert backend.control("GET", "requests")["requests"] == []
    code, output = confirm(tmp_path, b"y\n", backend.settings())
    assert code == 0 and "logged out" in output and not file.exists()
    assert [request["path"] for request in backend.control("GET", "requests")["requests"]] == ["/oauth/revoke"]


def test_logout_while_the_proxy_runs(backend, tmp_path):
    backend.log_in(tmp_path)
    with Proxy(tmp_path, CODEX_PROXY_API_KEY=KEY, **backend.settings()) as proxy:
        assert post(proxy, ask()).status_code == 200
        code, output = run("logout", CODEX_PROXY_HOME=str(tmp_path))
        assert code == 0 and "logged out" in output
        assert post(proxy, ask()).status_code == 401


def test_doctor_over_tls(backend, tmp_path):
    backend.log_in(tmp_path)
    tmp_path.chmod(0o700)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    arguments = ("doctor", "--host", "127.0.0.1", "-p", port)
    code, output = run(*arguments, CODEX_PROXY_HOME=str(tmp_path), **backend.settings())
    assert code == 0 and "No problems found." in output and re.search(r"^ok +TLS", output, re.MULTILINE), output
    # Without the simulator's root certificate it is an intercepting proxy like any other.
    settings = {name: value for name, value in backend.settings().items() if name != "CODEX_PROXY_CA"}
    code, output = run(*arguments, CODEX_PROXY_HOME=str(tmp_path), **settings)
    assert code == 1 and re.search(r"^FAIL +TLS", output, re.MULTILINE) and "CODEX_PROXY_CA" in output, output


def test_demo():
    code, output = run("demo")
    assert code == 0, output
    assert "All four replies are complete" in output
