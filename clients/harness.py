"""Starts the program and the simulator for the clients' tests.

`clients/run` creates the Python environments and runs pytest, with its settings in CODEX_PROXY_* variables.
"""

import json
import os
import queue
import re
import ssl
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

BINARIES = Path(os.environ["CODEX_PROXY_BINARIES"])
KEY = "codex-proxy"
MODEL = "gpt-5.1"
# How long a test waits for a condition. Generous, since a machine under load is slow; no test measures time.
PATIENCE = 60.0


class Program:
    """A running process. Tests can wait for its output, which is shown when a test fails."""

    def __init__(self, *command, env, stdin=subprocess.DEVNULL):
        self.command = [str(part) for part in command]
        self.process = subprocess.Popen(
            self.command, env=env, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
        )
        self.lines = []
        self._unread = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        with self.process.stdout as lines:
            for line in lines:
                self.lines.append(line)
                self._unread.put(line)
        self._unread.put(None)

    def line(self, pattern):
        """Reads to the next matching line and returns the match. Kills a program that prints none."""
        deadline = time.monotonic() + PATIENCE
        try:
            while (line := self._unread.get(timeout=max(0.0, deadline - time.monotonic()))) is not None:
                if found := re.search(pattern, line):
                    return found
        except queue.Empty:
            pass
        self.kill()
        raise AssertionError(f"{self.command} printed no {pattern!r}, but:\n{self.output}")

    def wait(self):
        """Waits for the process to exit and returns its exit code."""
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def stop(self):
        """Stops the process as a service manager would and returns its exit code."""
        self.process.terminate()
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.command} did not stop on SIGTERM:\n{self.output}") from None

    def kill(self):
        self.process.kill()
        self.wait()

    @property
    def output(self):
        return "".join(self.lines)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill()


class Backend(Program):
    """`codex-sim` as a process, over TLS with its own CA, and its control calls."""

    def __init__(self, directory, *, tls=True):
        self.ca = directory / "ca.pem"
        flags = ["--tls", "--ca-out", self.ca] if tls else []
        super().__init__(BINARIES / "codex-sim", *flags, env=environment())
        ready = json.loads(self.line(r"^\{.*\}$").group())
        self.upstream_url, self.auth_url, self._control = ready["upstream_url"], ready["auth_url"], ready["control_url"]
        self._tls = ssl.create_default_context(cafile=self.ca) if tls else None

    def control(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._control}/{path}", data, {"content-type": "application/json"}, method=method)
        with self._open(request) as reply:
            return json.load(reply)

    def approve(self, address):
        """Opens the authorize page at `address`, presses Approve, follows the redirects, and returns the last page."""
        page = self._open(f"{self.auth_url}{address[address.index('/oauth/') :]}").read().decode()
        transaction = re.search(r'name="transaction" value="([^"]*)"', page).group(1)
        form = urllib.parse.urlencode({"transaction": transaction, "decision": "approve"}).encode()
        return self._open(urllib.request.Request(f"{self.auth_url}/oauth/authorize", form)).read().decode()

    def _open(self, request):
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._tls)
        )
        return opener.open(request, timeout=PATIENCE)

    def turns(self):
        """Returns the turn requests received since the last `forget`, oldest first."""
        recorded = self.control("GET", "requests")["requests"]
        return [request for request in recorded if request["path"].endswith("/codex/responses")]

    def forget(self):
        self.control("DELETE", "requests")

    def settings(self):
        """Returns the environment that points the program to this backend."""
        trust = {"CODEX_PROXY_CA": str(self.ca)} if self._tls else {}
        return {"CODEX_PROXY_UPSTREAM_URL": self.upstream_url, "CODEX_PROXY_AUTH_URL": self.auth_url, **trust}

    def log_in(self, home, **mint):
        """Writes `credentials.json` as the Python program did, with tokens of this backend."""
        tokens = self.control("POST", "tokens", mint)
        kept = {name: tokens[name] for name in ("access_token", "refresh_token", "account_id", "expires_at")}
        home.mkdir(parents=True, exist_ok=True)
        (home / "credentials.json").write_text(json.dumps(kept))
        (home / "credentials.json").chmod(0o600)


class Proxy(Program):
    """`codex-proxy serve` on a free port."""

    def __init__(self, home, *flags, **settings):
        env = environment(CODEX_PROXY_HOME=str(home), **settings)
        super().__init__(BINARIES / "codex-proxy", "serve", "--host", "127.0.0.1", "-p", "0", *flags, env=env)
        self.url = self.line(r"listening on (http://[^ ]+:\d+)").group(1)
        self.base_url = f"{self.url}/v1"


def environment(**settings):
    """Returns this process's environment without variables that would change the programs' behaviour."""
    foreign = re.compile(r"(?i)^(codex_.*|openai_.*|(https?|all|no)_proxy|ssl_cert_file|rust_log)$")
    return {name: value for name, value in os.environ.items() if not foreign.match(name)} | settings


def ask(scenario="", text="Hello!", **more):
    """Returns the body of a chat request, or the arguments for an SDK, that the backend answers with `scenario`."""
    words = "".join(f"[sim:{word}]" for word in scenario.split())
    return {"model": MODEL, "messages": [{"role": "user", "content": f"{words} {text}".strip()}], **more}


def post(proxy, body):
    """Sends a chat request without an SDK."""
    import httpx2

    return httpx2.post(
        f"{proxy.base_url}/chat/completions", json=body, headers={"authorization": f"Bearer {KEY}"}, timeout=PATIENCE
    )


WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather at a place",
        "parameters": {
            "type": "object",
            "properties": {"location": {"type": "string"}, "unit": {"type": "string", "enum": ["c", "f"]}},
            "required": ["location"],
        },
    },
}
TIME = {
    "type": "function",
    "function": {
        "name": "get_time",
        "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]},
    },
}
