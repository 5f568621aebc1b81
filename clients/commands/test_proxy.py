"""The way out: login, refresh and API through published proxies, tinyproxy for HTTP and microsocks for SOCKS.

The backend is on this machine, which is reached without a proxy under its own names. Behind tinyproxy it therefore has the
addresses that are the program's own, to which a second proxy leads; behind microsocks it is at 0.0.0.0, which is this machine too
and not a loopback address.
"""

import contextlib
import re
import select
import socket
import socketserver
import threading

import httpx2
import pytest
from harness import BINARIES, KEY, PATIENCE, Backend, Program, Proxy, ask, environment, post

USER, PASSWORD = "user", "s3cret"
AUTH, API = "auth.openai.com:443", "chatgpt.com:443"


class Tunnel(socketserver.BaseRequestHandler):
    """A proxy that accepts CONNECT, records the target, and always connects to the simulator."""

    def handle(self):
        with self.request.makefile("rb") as reader:
            _, target, _ = reader.readline().decode().split()
            for _ in iter(reader.readline, b"\r\n"):
                pass
        self.server.asked.append(target)
        with socket.create_connection(self.server.simulator, PATIENCE) as backend:
            self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            ends = {self.request: backend, backend: self.request}
            while True:
                for source in select.select(list(ends), [], [])[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    ends[source].sendall(data)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


@pytest.fixture
def own(tmp_path):
    """A separate backend, because its tokens are revoked here."""
    with Backend(tmp_path) as backend:
        yield backend


@pytest.fixture
def tunnel(own):
    host, port = own.auth_url.removeprefix("https://").split(":")
    with Server(("127.0.0.1", 0), Tunnel) as server:
        server.simulator, server.asked = (host, int(port)), []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until_listening(program, port):
    """Waits until the program has bound its port."""
    while True:
        assert program.process.poll() is None, program.output
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), PATIENCE):
            return program


@contextlib.contextmanager
def tinyproxy(directory, tunnel):
    port = free_port()
    config = directory / "tinyproxy.conf"
    config.write_text(
        f"Port {port}\nListen 127.0.0.1\nAllow 127.0.0.1\nLogLevel Connect\nBasicAuth {USER} {PASSWORD}\n"
        f"Upstream http 127.0.0.1:{tunnel.server_address[1]}\n"
    )
    with Program("tinyproxy", "-d", "-c", config, env=environment()) as program:
        program.port = port
        yield until_listening(program, port)


@contextlib.contextmanager
def microsocks():
    port = free_port()
    command = ("microsocks", "-i", "127.0.0.1", "-p", port, "-u", USER, "-P", PASSWORD)
    with Program(*command, env=environment()) as program:
        program.port = port
        yield until_listening(program, port)


def elsewhere(backend):
    """The backend's addresses on interfaces other than loopback."""
    there = lambda url: url.replace("127.0.0.1", "0.0.0.0")
    return {"CODEX_PROXY_UPSTREAM_URL": there(backend.upstream_url), "CODEX_PROXY_AUTH_URL": there(backend.auth_url)}


def log_in(backend, home, settings):
    """Logs in as a user does and returns the program's output."""
    env = environment(CODEX_PROXY_HOME=str(home), **settings)
    with Program(BINARIES / "codex-proxy", "login", "--no-browser", env=env) as login:
        assert "Logged in" in backend.approve(login.line(r"https://[^/]+/oauth/authorize\?\S+").group())
        assert login.wait() == 0, login.output
    return login.output


def speak(backend, home, settings, transport="http"):
    """Runs a streamed turn, one with a revoked token, and an image, and returns the program's output."""
    backend.forget()
    with Proxy(home, "--transport", transport, CODEX_PROXY_API_KEY=KEY, **settings) as proxy:
        reply = post(proxy, ask(text="Through the proxy?", stream=True))
        assert reply.status_code == 200 and "data: [DONE]" in reply.text, reply.text
        backend.control("POST", "invalidate")
        reply = post(proxy, ask(text="Refreshed?"))
        assert reply.status_code == 200 and "Refreshed?" in reply.text, reply.text
        headers = {"authorization": f"Bearer {KEY}"}
        picture = httpx2.post(f"{proxy.base_url}/images/generations", json={"prompt": "a fox"}, headers=headers, timeout=PATIENCE)
        assert picture.status_code == 200, picture.text
    methods = {turn["method"] for turn in backend.turns()}
    assert methods == ({"POST"} if transport == "http" else {"GET", "FRAME"})
    return proxy.output


TRANSPORTS = ("http", "websocket")


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_login_and_api_go_through_the_proxy(own, tunnel, tmp_path, transport):
    with tinyproxy(tmp_path, tunnel) as http:
        address = f"http://{USER}:{PASSWORD}@127.0.0.1:{http.port}"
        settings = {"HTTPS_PROXY": address, "CODEX_PROXY_CA": str(own.ca)}
        said = log_in(own, tmp_path / "home", settings)
        assert set(tunnel.asked) == {AUTH}
        tunnel.asked.clear()
        said += speak(own, tmp_path / "home", settings, transport)
    # The refresh and everything else; nothing bypassed the proxy.
    assert set(tunnel.asked) == {AUTH, API}
    assert set(re.findall(r"CONNECT (\S+) HTTP", http.output)) == {AUTH, API}, http.output
    assert PASSWORD not in said, said


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_login_and_api_go_through_a_socks_proxy(own, tmp_path, scheme, transport):
    with microsocks() as socks:
        address = f"{scheme}://{USER}:{PASSWORD}@127.0.0.1:{socks.port}"
        settings = {"ALL_PROXY": address, "CODEX_PROXY_CA": str(own.ca), **elsewhere(own)}
        said = log_in(own, tmp_path / "home", settings)
        before = socks.output.count("connected to")
        assert before > 0, socks.output
        said += speak(own, tmp_path / "home", settings, transport)
        assert socks.output.count("connected to") > before, socks.output
    assert PASSWORD not in said, said
    # Nothing bypassed the proxy: the backend got no request at its own address.
    port = own.upstream_url.split(":")[2].split("/")[0]
    assert set(re.findall(r"connected to (\S+)", socks.output)) == {f"0.0.0.0:{port}"}, socks.output


def test_exceptions_are_reached_directly(own, tmp_path):
    with microsocks() as socks:
        address = f"socks5h://{USER}:{PASSWORD}@127.0.0.1:{socks.port}"
        settings = {"HTTPS_PROXY": address, "NO_PROXY": "example.com, 0.0.0.0", "CODEX_PROXY_CA": str(own.ca)}
        own.log_in(tmp_path / "home")
        speak(own, tmp_path / "home", settings | elsewhere(own))
    assert "connected to" not in socks.output, socks.output


def refused(own, tmp_path, settings):
    """Checks the error and the log when the proxy refuses all connections."""
    own.log_in(tmp_path / "home")
    with Proxy(tmp_path / "home", CODEX_PROXY_API_KEY=KEY, CODEX_PROXY_CA=str(own.ca), **settings) as proxy:
        reply = post(proxy, ask())
    assert reply.status_code == 502, reply.text
    message = reply.json()["error"]["message"]
    assert "the proxy did not connect" in message and "check its address and credentials" in message, message
    env = environment(CODEX_PROXY_HOME=str(tmp_path / "other"), CODEX_PROXY_CA=str(own.ca), **settings)
    with Program(BINARIES / "codex-proxy", "login", "--device", env=env) as login:
        assert login.wait() != 0 and "proxy" in login.output, login.output
    said = reply.text + proxy.output + login.output
    assert "wr0ng" not in said and USER + ":" not in said, said
    assert not own.turns()


def test_wrong_credentials_are_told_and_not_shown(own, tunnel, tmp_path):
    with tinyproxy(tmp_path, tunnel) as http:
        refused(own, tmp_path, {"HTTPS_PROXY": f"http://{USER}:wr0ng@127.0.0.1:{http.port}"})
    assert not tunnel.asked


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_wrong_credentials_of_a_socks_proxy_are_told_and_not_shown(own, tmp_path, scheme):
    with microsocks() as socks:
        address = f"{scheme}://{USER}:wr0ng@127.0.0.1:{socks.port}"
        refused(own, tmp_path, {"HTTPS_PROXY": address} | elsewhere(own))
    assert "connected to" not in socks.output, socks.output


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
def test_a_proxy_that_is_down_is_told(own, tmp_path, scheme):
    refused(own, tmp_path, {"HTTPS_PROXY": f"{scheme}://{USER}:wr0ng@127.0.0.1:{free_port()}"} | elsewhere(own))
