"""The fixtures that all clients share."""

import pytest
from harness import KEY, Backend, Proxy


@pytest.fixture(scope="session")
def backend(tmp_path_factory):
    with Backend(tmp_path_factory.mktemp("backend")) as backend:
        yield backend


@pytest.fixture(scope="session")
def running(backend, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    backend.log_in(home)
    with Proxy(home, CODEX_PROXY_API_KEY=KEY, **backend.settings()) as proxy:
        yield proxy
        assert proxy.stop() == 0, proxy.output


@pytest.fixture
def proxy(running, backend, request):
    """The program over the backend, which has forgotten the requests of earlier tests."""
    backend.forget()
    seen = len(running.lines)
    yield running
    request.node.add_report_section("call", "codex-proxy", "".join(running.lines[seen:]))
    assert running.process.poll() is None, f"codex-proxy ended:\n{running.output}"
