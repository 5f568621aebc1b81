"""The way out: login and API through a proxy, to the addresses that are the program's own."""

import select
import socket
import socketserver
import threading

import pytest
from harness import BINARIES, KEY, PATIENCE, Program, Proxy, ask, environment, post


class Tunnel(socketserver.BaseRequestHandler):
    """A proxy that takes CONNECT, notes the target, and leads to the simulator whatever it is."""

    def handle(self):
        with self.request.makefile("rb") as reader:
            method, target, _ = reader.readline().decode().split()
            lines = [line.decode().rstrip().split(": ", 1) for line in iter(reader.readline, b"\r\n")]
        headers = {name.lower(): value for name, value in lines}
        self.server.asked.append((method, target, headers.get("proxy-authorization")))
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
def tunnel(backend):
    host, port = backend.auth_url.removeprefix("https://").split(":")
    with Server(("127.0.0.1", 0), Tunnel) as server:
        server.simulator, server.asked = (host, int(port)), []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_login_and_api_go_through_the_proxy(backend, tunnel, tmp_path):
    proxy_url = f"http://user:pass@127.0.0.1:{tunnel.server_address[1]}"
    settings = {"HTTPS_PROXY": proxy_url, "CODEX_PROXY_CA": str(backend.ca)}
    env = environment(CODEX_PROXY_HOME=str(tmp_path), **settings)
    with Program(BINARIES / "codex-proxy", "login", "--no-browser", env=env) as login:
        assert "Logged in" in backend.approve(login.line(r"https://auth\.openai\.com/oauth/authorize\?\S+").group())
        assert login.wait() == 0, login.output
    credentials = "Basic dXNlcjpwYXNz"
    assert {entry for entry in tunnel.asked} == {("CONNECT", "auth.openai.com:443", credentials)}

    with Proxy(tmp_path, CODEX_PROXY_API_KEY=KEY, **settings) as proxy:
        reply = post(proxy, ask(text="Through the proxy?"))
        assert reply.status_code == 200 and "Through the proxy?" in reply.text
    assert ("CONNECT", "chatgpt.com:443", credentials) in tunnel.asked
    assert "pass@" not in login.output + proxy.output
