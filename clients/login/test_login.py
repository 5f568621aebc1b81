"""The login in a real browser: the authorize page, a decision, the final page, and the stored tokens."""

import json
import stat
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from browser import SCREENSHOTS, chromium
from environments import login_ports
from harness import BINARIES, KEY, PATIENCE, Backend, Program, Proxy, ask, environment
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait


@pytest.fixture(scope="module")
def plain_backend(tmp_path_factory):
    """Without TLS: the browser does not know the simulator's CA, and the program accepts plain http on this machine."""
    with Backend(tmp_path_factory.mktemp("backend"), tls=False) as backend:
        yield backend


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    driver = chromium(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture
def login(plain_backend, tmp_path):
    """`codex-proxy login` with a browser that does nothing; the test opens the printed URL."""
    env = environment(CODEX_PROXY_HOME=str(tmp_path / "home"), BROWSER="true", **plain_backend.settings())
    env.pop("DISPLAY", None)
    with login_ports(), Program(BINARIES / "codex-proxy", "login", env=env) as program:
        program.address = program.line(r"https?://\S+/oauth/authorize\?\S+").group()
        program.home = tmp_path / "home"
        yield program


def decide(browser, login, decision):
    """Opens the login URL, decides, and returns the title and text of the final page."""
    browser.get(login.address)
    shot(browser, f"authorize-{decision}")
    assert "Sign in" in browser.title
    browser.find_element(By.ID, decision).click()
    # The click leads through redirects; the last page has nothing of the exchange in its URL.
    at_home = lambda driver: urlsplit(driver.current_url).hostname in ("localhost", "127.0.0.1") and (
        driver.execute_script("return document.readyState") == "complete" and "codex-proxy" in driver.title
    )
    WebDriverWait(browser, PATIENCE).until(at_home)
    shot(browser, decision)
    return browser.title, browser.find_element(By.TAG_NAME, "body").text


def shot(browser, name):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    browser.save_screenshot(str(SCREENSHOTS / f"{name}.png"))


def test_the_address_asks_as_the_official_client_does(login):
    query = {name: values[0] for name, values in parse_qs(urlsplit(login.address).query, strict_parsing=True).items()}
    assert query["response_type"] == "code" and query["code_challenge_method"] == "S256"
    assert len(query["state"]) == 43 and len(query["code_challenge"]) == 43
    assert urlsplit(query["redirect_uri"]).port in (1455, 1457)
    assert {"openid", "profile", "email", "offline_access"} <= set(query["scope"].split())


def test_approve(browser, login, plain_backend):
    title, text = decide(browser, login, "approve")
    assert "Logged in" in title and "user@example.com" in text
    assert not urlsplit(browser.current_url).query, "neither code nor token stays in the browser's history"
    assert login.wait() == 0, login.output
    assert "user@example.com" in login.output and "codex-proxy serve" in login.output

    file = login.home / "credentials.json"
    kept = json.loads(file.read_text())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {"access_token", "refresh_token", "account_id", "expires_at"} <= set(kept)
    assert not any(kept[name] in login.output for name in ("access_token", "refresh_token"))

    with Proxy(login.home, CODEX_PROXY_API_KEY=KEY, **plain_backend.settings()) as proxy:
        headers = {"authorization": f"Bearer {KEY}"}
        reply = httpx2.post(f"{proxy.base_url}/chat/completions", json=ask(), headers=headers, timeout=60)
        assert reply.status_code == 200 and reply.json()["choices"][0]["finish_reason"] == "stop"


def test_deny_keeps_the_login_there_was(browser, login, plain_backend):
    plain_backend.log_in(login.home)
    before = (login.home / "credentials.json").read_bytes()
    title, text = decide(browser, login, "deny")
    assert "Logged in" not in title and "codex-proxy login" in text
    assert login.wait() == 1, login.output
    assert login.output.splitlines()[-1].startswith("codex-proxy: ")
    assert (login.home / "credentials.json").read_bytes() == before


def test_a_foreign_answer_ends_nothing(browser, login):
    redirect = parse_qs(urlsplit(login.address).query)["redirect_uri"][0]
    reply = httpx2.get(f"{redirect}?code=stolen&state=guessed")
    assert reply.status_code == 400
    assert login.process.poll() is None, "the login goes on"
    assert "Logged in" in decide(browser, login, "approve")[0]
    assert login.wait() == 0, login.output
