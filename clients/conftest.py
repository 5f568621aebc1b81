"""The fixtures shared by all clients, and the record of what was exercised."""

import json
import os
from pathlib import Path

import pytest
from exercised import noted
from faults import LOGIN, STALLED
from harness import KEY, Backend, Proxy


@pytest.fixture(scope="session")
def backend(tmp_path_factory):
    with Backend(tmp_path_factory.mktemp("backend")) as backend:
        yield backend


@pytest.fixture(scope="session")
def settings():
    """The settings of the program; a suite can override them."""
    return {"CODEX_PROXY_API_KEY": KEY}


@pytest.fixture(scope="session")
def running(backend, settings, tmp_path_factory):
    with logged_in(backend, tmp_path_factory.mktemp("home"), settings) as proxy:
        yield proxy
        assert proxy.stop() == 0, proxy.output


def logged_in(backend, home, settings):
    backend.log_in(home)
    return Proxy(home, **settings, **backend.settings())


@pytest.fixture
def proxy(running, backend, request):
    """The program with a backend that has forgotten the requests of earlier tests."""
    backend.forget()
    seen = len(running.lines)
    yield running
    request.node.add_report_section("call", "codex-proxy", "".join(running.lines[seen:]))
    assert running.process.poll() is None, f"codex-proxy ended:\n{running.output}"


@pytest.fixture
def failing(fault, request, backend, settings, tmp_path):
    """The program for a test of one fault (`faults.each_fault`)."""
    # A backend that keeps rejecting new tokens gets none for a minute, so this needs its own login. Its timeout for silence is
    # shorter than in the other tests, where the backend may be slow.
    own = {LOGIN: settings, STALLED: settings | {"CODEX_PROXY_UPSTREAM_TIMEOUT": "2"}}
    if fault in own:
        backend.forget()
        with logged_in(backend, tmp_path, own[fault]) as proxy:
            yield proxy
    else:
        yield request.getfixturevalue("proxy")


PASSED = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call" and report.passed:
        PASSED.append(item)
    return report


def pytest_sessionfinish(session):
    """Records what the passing tests exercised, for the table of `clients/run`."""
    suites = {item.path.parent.name for item in PASSED}
    for suite in suites:
        found = noted(item for item in PASSED if item.path.parent.name == suite)
        (Path(os.environ["CODEX_PROXY_RESULTS"]) / f"{suite}.json").write_text(json.dumps(found))
