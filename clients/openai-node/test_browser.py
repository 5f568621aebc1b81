"""openai-node in a browser, on a page with another origin: the SDK sends custom headers, so each request has a preflight."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from browser import chromium
from environments import CLIENTS, node_packages
from harness import KEY, Proxy, ask


class Quiet(SimpleHTTPRequestHandler):
    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript"}

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def page():
    """The URL of browser.html, next to the SDK."""
    node_packages("openai-node")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=CLIENTS / "openai-node")) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://page.example:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def stream(page, tmp_path_factory):
    """Streams a chat reply in the browser."""
    # Pages from this machine's own names are allowed by default.
    driver = chromium(tmp_path_factory.mktemp("profile"), "--host-resolver-rules=MAP page.example 127.0.0.1")
    try:
        driver.get(f"{page}/browser.html")
        yield lambda proxy, body: driver.execute_script("return stream(...arguments)", proxy.base_url, body)
    finally:
        driver.quit()


def test_an_origin_that_is_let_in(stream, page, backend, tmp_path):
    backend.log_in(tmp_path)
    backend.forget()
    with Proxy(tmp_path, CODEX_PROXY_API_KEY=KEY, CODEX_PROXY_CORS_ORIGINS=page, **backend.settings()) as proxy:
        assert "Hello!" in stream(proxy, ask())["text"]
        assert "usage limit" in stream(proxy, ask("429-usage"))["message"], "the page may read errors, too"
    assert [turn["status"] for turn in backend.turns()] == [200, 429]


def test_another_origin_is_not(stream, proxy, backend):
    assert stream(proxy, ask())["name"] == "APIConnectionError"
    assert backend.turns() == []
