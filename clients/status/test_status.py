"""The status page in a real browser, and the metrics read by Prometheus' own parser."""

import json
import os
import socket
import subprocess
import sys
import threading

import httpx2
import pytest
from browser import SCREENSHOTS, chromium
from environments import node_packages, python
from harness import KEY, PATIENCE, Backend, Proxy, ask, environment
from prometheus_client.parser import text_string_to_metric_families
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait
from snippets import ADDRESS, Page

SCRIPT = "<img src=x onerror=document.title='owned'>"
BEARER = {"authorization": f"Bearer {KEY}"}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    driver = chromium(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    with Backend(tmp_path_factory.mktemp("backend")) as backend:
        yield backend


@pytest.fixture(scope="module")
def proxy(backend, tmp_path_factory):
    """A proxy with a key that has seen all kinds of requests, one of which is still open."""
    home = tmp_path_factory.mktemp("home")
    backend.log_in(home)
    backend.control("POST", "quota", {"primary_percent": 27.0, "secondary_percent": 81.0})
    with Proxy(home, CODEX_PROXY_API_KEY=KEY, **backend.settings()) as proxy:
        traffic(proxy)
        with streaming(proxy):
            yield proxy
        assert proxy.stop() == 0, proxy.output


def traffic(proxy):
    send = lambda body, agent, path="chat/completions", headers=BEARER: httpx2.post(
        f"{proxy.base_url}/{path}", json=body, headers={**headers, "user-agent": agent}, timeout=PATIENCE
    )
    send(ask(model="gpt-5.5-high", stream=True), "OpenAI/Python 2.8.0")
    send(ask(), "curl/8.14.1", headers={})
    send({"model": "gpt-6-luna", "input": "Hello!", "stream": True}, "codex_cli_rs/0.169.0 (Debian 12; x86_64) xterm", "responses")
    send(ask("cut", stream=True), "litellm/1.79.3")
    send(ask("tool", tools=[{"type": "function", "function": {"name": "f"}}], seed=7), "Cline/3.2")
    send(ask(model=SCRIPT), "<script>document.title=1</script>")
    send({"model": 7}, "python-httpx/0.28.1")


class streaming:
    """A stream that is held open; leaving it is the client's leaving."""

    def __init__(self, proxy, headers=BEARER):
        body = json.dumps(ask("reasoning stall", stream=True)).encode()
        address = proxy.url.removeprefix("http://")
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nuser-agent: aider/0.86\r\ncontent-length: {len(body)}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.address, self.request = address, head.encode() + b"\r\n" + body

    def __enter__(self):
        host, _, port = self.address.partition(":")
        self.connection = socket.create_connection((host, int(port)), PATIENCE)
        self.connection.sendall(self.request)
        assert self.connection.recv(4096).startswith(b"HTTP/1.1 200")
        return self

    def __exit__(self, *_):
        self.connection.close()


def until(browser, script, message=None):
    """Waits until a JavaScript expression is true, and returns it."""
    return WebDriverWait(browser, PATIENCE).until(lambda driver: driver.execute_script(f"return {script}"), message or script)


def visit(browser, url, *, width=1180, height=1000, dark=False):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}
    )
    scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    browser.get_log("browser")  # what earlier tests left there
    browser.get(url)


def enter(browser, key):
    until(browser, "!document.getElementById('key-form').hidden")
    browser.find_element(By.ID, "key").send_keys(key, Keys.ENTER)


def visit_with_key(browser, proxy, **how):
    visit(browser, f"{proxy.url}/", **how)
    browser.execute_script("sessionStorage.setItem('codex-proxy-key', arguments[0])", KEY)
    browser.refresh()
    until(browser, "document.querySelectorAll('.window').length > 1 && document.querySelectorAll('#recent tr').length > 0")


def shot(browser, name):
    """Takes the whole page, however long."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    height = browser.execute_script("return document.documentElement.scrollHeight")
    width = browser.execute_script("return innerWidth")
    metrics = {"width": width, "height": max(height, 400), "deviceScaleFactor": 1, "mobile": width < 700}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.save_screenshot(str(SCREENSHOTS / f"status-{name}.png"))


def text(browser):
    return browser.find_element(By.TAG_NAME, "body").text


def check_console(browser):
    """Nothing went wrong that the console would tell: no refused script or style, no exception."""
    told = [line["message"] for line in browser.get_log("browser") if line["level"] in ("SEVERE", "WARNING")]
    # A reply of 401 is what asks for the key.
    assert [line for line in told if "401" not in line] == []


# Every text on the page against what is behind it, by WCAG's formula; 4.5 to 1 is its level AA.
CONTRAST = """
const channel = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const rgba = (text) => text.match(/[\\d.]+/g).map(Number);
const ground = (element) => {
  for (; element; element = element.parentElement) {
    const color = rgba(getComputedStyle(element).backgroundColor);
    if (color.length < 4 || color[3] > 0) return color;
  }
  return [255, 255, 255];
};
const faint = [];
for (const element of document.body.querySelectorAll("*")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  if (!own || !element.checkVisibility() || ["SCRIPT", "STYLE", "NOSCRIPT"].includes(element.tagName)) continue;
  const [a, b] = [light(rgba(getComputedStyle(element).color)), light(ground(element))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) faint.push(`${element.tagName}.${element.className} ${element.textContent.slice(0, 30)} ${ratio.toFixed(2)}`);
}
return faint;
"""


@pytest.mark.parametrize(
    "name, how",
    [
        ("desktop", {}),
        ("desktop-dark", {"dark": True}),
        ("phone", {"width": 390, "height": 844}),
        ("phone-dark", {"width": 390, "height": 844, "dark": True}),
    ],
)
def test_the_page_shows_what_there_is(browser, proxy, name, how):
    visit_with_key(browser, proxy, **how)
    shot(browser, name)
    shown = text(browser)
    for words in ("Ready", "u•••@example.com", "5 hours", "27 % used", "81 % used", "Resets in", "gpt-5.5", "OpenAI/Python"):
        assert words in shown, words
    for words in ("stream_truncated", "tool_calls", "running", "aider", "401", "Set up a client"):
        assert words in shown, words
    assert "user@example.com" not in shown and KEY not in browser.page_source.replace("codex-proxy", "", 1000)
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth"), "nothing is cut off"
    assert browser.execute_script(CONTRAST) == []
    check_console(browser)


def test_markup_in_a_name_is_text(browser, proxy):
    visit_with_key(browser, proxy)
    shown = browser.find_element(By.ID, "recent").text
    assert SCRIPT in shown and "<script>document.title=1</script>" in shown
    assert browser.title == "codex-proxy"
    assert browser.execute_script("return document.querySelectorAll('main img, main script').length") == 0
    # Not even a mistake of ours could make markup of a text.
    refused = browser.execute_script("try { document.body.innerHTML = '<b>x</b>' } catch (error) { return error.name }")
    assert refused == "TypeError"


def test_the_key_is_asked_for_and_kept_in_the_tab_alone(browser, proxy):
    visit(browser, f"{proxy.url}/")
    browser.execute_script("sessionStorage.clear()")
    browser.refresh()
    until(browser, "!document.getElementById('key-form').hidden")
    shot(browser, "key")
    assert "gpt-" not in text(browser)
    enter(browser, "wrong")
    until(browser, "document.getElementById('key-problem').textContent === 'Invalid key.'")
    shot(browser, "key-wrong")
    assert browser.execute_script("return sessionStorage.length") == 0
    enter(browser, KEY)
    until(browser, "!document.getElementById('content').hidden")
    assert browser.execute_script("return [sessionStorage.length, localStorage.length, document.cookie]") == [1, 0, ""]
    assert KEY not in browser.current_url


def test_the_page_goes_on_by_itself_while_it_is_looked_at(browser, proxy):
    visit_with_key(browser, proxy)
    headers = {**BEARER, "user-agent": "a-later-client/1"}
    httpx2.post(f"{proxy.base_url}/chat/completions", json=ask(), headers=headers, timeout=PATIENCE)
    until(browser, "document.getElementById('recent').textContent.includes('a-later-client')")
    # Hidden, it stops its timer and sets none; looked at again, it asks at once and goes on.
    browser.execute_script(
        "globalThis.timers = new Set();"
        "const [set, clear] = [setTimeout, clearTimeout];"
        "globalThis.setTimeout = (act, ms) => { const id = set(act, ms); if (act === poll) timers.add(id); return id };"
        "globalThis.clearTimeout = (id) => { timers.delete(id); clear(id) };"
        "return poll()"
    )
    until(browser, "timers.size === 1 && !isPolling")
    browser.execute_script(
        "Object.defineProperty(document, 'visibilityState', {value: 'hidden', configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange')); return poll()"
    )
    assert browser.execute_script("return timers.size === 0 && !isPolling")
    browser.execute_script("delete document.visibilityState; document.dispatchEvent(new Event('visibilitychange'))")
    until(browser, "timers.size === 1")


def test_keyboard_and_screen_reader_find_their_way(browser, proxy):
    visit_with_key(browser, proxy)
    roles = browser.execute_script(
        "return [...document.querySelectorAll('[role=meter]')].map((bar) => [bar.ariaLabel, bar.ariaValueNow, bar.ariaValueText])"
    )
    assert roles[0][:2] == ["5 hours", "27"] and roles[0][2].startswith("27 % used. Resets in")
    assert len(browser.find_elements(By.CSS_SELECTOR, "header, main")) == 2
    sections = browser.find_elements(By.CSS_SELECTOR, "main section:not([hidden])")
    assert all(section.get_attribute("aria-labelledby") or section.get_attribute("role") for section in sections)
    tab = browser.find_element(By.CSS_SELECTOR, "[role=tab][aria-selected=true]")
    tab.send_keys(Keys.ARROW_DOWN)
    chosen = browser.switch_to.active_element
    assert chosen.text == "OpenAI Python" and chosen.get_attribute("aria-selected") == "true"
    assert browser.find_element(By.ID, "panel").get_attribute("aria-labelledby") == chosen.get_attribute("id")
    chosen.send_keys(Keys.END)
    assert browser.switch_to.active_element.text == "Codex CLI"
    browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert browser.switch_to.active_element.text == "curl"


def snippets(browser, name):
    browser.find_element(By.XPATH, f"//button[@role='tab'][.='{name}']").click()
    return [code.get_attribute("textContent") for code in browser.find_elements(By.CSS_SELECTOR, "#panel pre code")]


def test_the_snippets_work_as_they_stand(browser, proxy, tmp_path):
    visit_with_key(browser, proxy)
    env = environment(CODEX_PROXY_API_KEY=KEY, LITELLM_LOCAL_MODEL_COST_MAP="True", NO_PROXY="*")
    run = lambda *command, text: subprocess.run(
        command, input=text, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=2 * PATIENCE
    )
    for name, command in [
        ("curl", ["bash", "-euo", "pipefail"]),
        ("OpenAI Python", [sys.executable, "-"]),
        ("LiteLLM", [python("litellm"), "-"]),
    ]:
        code = snippets(browser, name)[0]
        assert f"{proxy.url}/v1" in code and KEY not in code.replace("codex-proxy", "", 1000), code
        done = run(*command, text=code)
        assert done.returncode == 0 and "Hello!" in done.stdout, f"{code}\n{done.stdout}{done.stderr}"
    home = tmp_path / "codex"
    home.mkdir()
    (home / "config.toml").write_text(snippets(browser, "Codex CLI")[0])
    command = [node_packages("codex-cli") / "codex", "exec", "--skip-git-repo-check", "Hello!"]
    codex_env = env | {"CODEX_HOME": str(home), "HOME": str(tmp_path)}
    done = subprocess.run(
        command, env=codex_env, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=2 * PATIENCE
    )
    assert done.returncode == 0 and "Hello!" in done.stdout, f"{done.stdout}{done.stderr}"
    for name in ("OpenAI Node", "Vercel AI SDK", "aider", "Continue"):
        assert all(f"{proxy.url}/v1" in code for code in snippets(browser, name)), name
    for name in ("Cline", "Open WebUI", "Roo Code", "JetBrains AI", "n8n", "Home Assistant"):
        browser.find_element(By.XPATH, f"//button[@role='tab'][.='{name}']").click()
        assert f"{proxy.url}/v1" in browser.find_element(By.ID, "panel").text


def test_the_snippets_are_those_of_the_set_up_pages(browser, proxy):
    visit_with_key(browser, proxy)
    model = httpx2.get(f"{proxy.base_url}/models", headers=BEARER, timeout=PATIENCE).json()["data"][0]["id"]

    def as_on_a_page(name):
        code = snippets(browser, name)[0].replace(proxy.url, ADDRESS).replace(model, "gpt-5.5")
        return code.replace('"$CODEX_PROXY_API_KEY"', KEY).replace("the value of CODEX_PROXY_API_KEY", KEY)

    assert as_on_a_page("goose") == Page("goose").block("bash").rstrip()
    assert as_on_a_page("Codex CLI") == Page("codex-cli").block("toml", "env_key").rstrip()
    for name, page in (("Zed", "zed"), ("VS Code Copilot", "vscode-copilot")):
        assert json.loads(as_on_a_page(name)) == json.loads(Page(page).block("json")), name


def test_a_snippet_is_copied(browser, proxy):
    visit_with_key(browser, proxy)
    permission = {"permission": {"name": "clipboard-write"}, "setting": "granted", "origin": proxy.url}
    browser.execute_cdp_cmd("Browser.setPermission", permission)
    browser.execute_cdp_cmd("Browser.setPermission", {**permission, "permission": {"name": "clipboard-read"}})
    (code,) = snippets(browser, "aider")
    browser.find_element(By.CSS_SELECTOR, "#panel .copy").click()
    until(browser, "document.getElementById('announce').textContent === 'Copied'")
    copied = browser.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
    assert copied == code


def test_without_a_login_the_page_says_what_to_do(browser, backend, tmp_path):
    with Proxy(tmp_path / "empty", **backend.settings()) as proxy:
        for name, width in (("no-login", 1180), ("no-login-phone", 390)):
            visit(browser, f"{proxy.url}/", width=width)
            until(browser, "!document.getElementById('login-needed').hidden")
            shot(browser, name)
        shown = text(browser)
        assert "Login needed" in shown and "codex-proxy login" in shown and "No requests yet" in shown
        assert browser.execute_script(CONTRAST) == []
        check_console(browser)
        # It is there as soon as somebody has logged in, without a restart and without a key.
        backend.log_in(tmp_path / "empty")
        until(browser, "document.getElementById('state-text').textContent === 'Ready'")


def test_a_proxy_that_is_gone_is_told_and_found_again(browser, backend, tmp_path):
    backend.log_in(tmp_path)
    proxy = Proxy(tmp_path, **backend.settings())
    visit(browser, f"{proxy.url}/")
    until(browser, "document.getElementById('state-text').textContent === 'Ready'")
    proxy.stop()
    until(browser, "document.getElementById('state-text').textContent.startsWith('No answer')")


def test_the_metrics_are_what_prometheus_reads(proxy):
    reply = httpx2.get(f"{proxy.url}/metrics", headers=BEARER, timeout=PATIENCE)
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(reply.text)}
    kinds = {name: family.type for name, family in families.items()}
    assert kinds == {
        "codex_proxy_requests": "counter",
        "codex_proxy_request_duration_seconds": "histogram",
        "codex_proxy_first_byte_seconds": "histogram",
        "codex_proxy_tokens": "counter",
        "codex_proxy_active_turns": "gauge",
        "codex_proxy_queued_requests": "gauge",
        "codex_proxy_open_streams": "gauge",
        "codex_proxy_upstream_retries": "counter",
        "codex_proxy_token_refreshes": "counter",
        "codex_proxy_login_usable": "gauge",
        "codex_proxy_quota_used_ratio": "gauge",
        "codex_proxy_quota_reset_timestamp_seconds": "gauge",
        "codex_proxy_build_info": "gauge",
        "process_start_time_seconds": "gauge",
    }
    assert all(family.documentation and family.samples for family in families.values())
    value = lambda name, **labels: [
        sample.value
        for sample in families[name].samples
        if labels.items() <= sample.labels.items() and not sample.name.endswith("_created")
    ]
    assert value("codex_proxy_requests", endpoint="chat", finish="error", code="200") == [1.0]
    assert value("codex_proxy_requests", endpoint="chat", model="other")
    assert value("codex_proxy_quota_used_ratio", window="5h", limit="codex") == [0.27]
    assert value("codex_proxy_quota_used_ratio", window="weekly", limit="codex") == [0.81]
    assert value("codex_proxy_open_streams") == [1.0] and value("codex_proxy_login_usable") == [1.0]
    for name in ("codex_proxy_request_duration_seconds", "codex_proxy_first_byte_seconds"):
        buckets = [sample for sample in families[name].samples if sample.name.endswith("_bucket") and sample.labels["endpoint"] == "chat"]
        counts = [sample.value for sample in buckets]
        (total,) = [s.value for s in families[name].samples if s.name.endswith("_count") and s.labels["endpoint"] == "chat"]
        assert counts == sorted(counts) and counts[-1] == total and buckets[-1].labels["le"] == "+Inf"
    assert SCRIPT[:10] not in reply.text


def test_metrics_hold_while_they_are_written_to(proxy):
    """Read again and again while requests end: every reading is whole, and no count goes back."""
    threads = [
        threading.Thread(target=httpx2.post, args=(f"{proxy.base_url}/chat/completions",), kwargs={"json": ask(), "headers": BEARER, "timeout": PATIENCE})
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    last = 0.0
    while any(thread.is_alive() for thread in threads):
        reply = httpx2.get(f"{proxy.url}/metrics", headers=BEARER, timeout=PATIENCE)
        (requests,) = [family for family in text_string_to_metric_families(reply.text) if family.name == "codex_proxy_requests"]
        total = sum(sample.value for sample in requests.samples if sample.labels["endpoint"] == "chat")
        assert total >= last
        last = total
    for thread in threads:
        thread.join()
