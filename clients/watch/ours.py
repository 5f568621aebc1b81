"""What the program sends for the calls of the official client, by the names of those."""

import json
from contextlib import contextmanager

import httpx2
from codex_cli import Codex
from environments import login_ports
from harness import BINARIES, PATIENCE, Program, Proxy, ask, environment, post
from watch import outline
from watch.lab import grant
from watch.official import LITE, ORDINARY, TURN, login_url, of_user, opening

# With the official client's TLS, since the comparison is with the official client.
SETTINGS = {"CODEX_PROXY_EMULATE": "codex"}


class Ours:
    """The program in front of a laboratory."""

    def __init__(self, lab, program):
        self._lab, self._program, self._count = lab, program, 0

    def calls(self):
        """Returns pairs of a call's name and its outline. The content of a chat is not that of a task, so it is left out."""
        for scenario in (self.chat, self.chat_websocket, self.refresh, self.recovery, self.login, self.device):
            with self._lab.scene() as scene:
                for name, made in scenario(scene):
                    yield name, without_content(outline.of_call(name, made))

    def passed_on(self):
        """Returns pairs of a call's name and its outline, made by the official client through the program."""
        for scenario in (self.passed_http, self.passed_lite, self.passed_websocket):
            with self._lab.scene() as scene:
                for name, made in scenario(scene):
                    yield name, outline.of_call(name, made)

    def _home(self, **changed):
        self._count += 1
        home = self._lab.directory / f"proxy-{self._count}"
        self._lab.backend.log_in(home)
        stored = json.loads((home / "credentials.json").read_text())
        (home / "credentials.json").write_text(json.dumps(stored | changed))
        return home

    def _proxy(self, *flags, **changed):
        return Proxy(self._home(**changed), *flags, **SETTINGS, **self._lab.settings())

    # ---- calls of its own

    def chat(self, scene):
        with self._proxy() as proxy:
            reply = post(proxy, ask() | {"model": ORDINARY})
            assert reply.status_code == 200, reply.text
            yield "turn", scene.one("POST", TURN)
            yield "models", scene.one("GET", "/codex/models")
            yield "accounts-check", scene.one("GET", "/wham/accounts/check")
            send(proxy, "GET", "/v1/usage")
            yield "usage", scene.one("GET", "/wham/usage")
            send(proxy, "POST", "/v1/images/generations", {"prompt": "a cat"})
            yield "image", scene.one("POST", "/codex/images/generations")
            send(proxy, "POST", "/v1/responses/compact", {"model": ORDINARY, "input": "hello"})
            yield "compaction", scene.one("POST", TURN, lambda turn: turn.body["input"][-1]["type"] == "compaction_trigger")
        yield "connection", opening(scene, lambda request: request.path.endswith(TURN))

    def chat_websocket(self, scene):
        with self._proxy("--transport", "websocket") as proxy:
            reply = post(proxy, ask() | {"model": ORDINARY})
            assert reply.status_code == 200, reply.text
            yield "websocket-upgrade", scene.one("GET", TURN)
            yield "websocket-turn", scene.one("FRAME", TURN)
        yield "websocket-connection", opening(scene, lambda request: request.method == "FRAME")

    def refresh(self, scene):
        expired = self._lab.control("POST", "tokens", {"lifetime_secs": 60})
        with self._proxy(access_token=expired["access_token"], expires_at=expired["expires_at"]) as proxy:
            assert post(proxy, ask() | {"model": ORDINARY}).status_code == 200
            yield "refresh", scene.one("POST", "/oauth/token", grant("refresh_token"))

    def recovery(self, scene):
        home = self._home()
        self._lab.control("POST", "invalidate")
        with Proxy(home, **SETTINGS, **self._lab.settings()) as proxy:
            assert post(proxy, ask() | {"model": ORDINARY}).status_code == 200
            yield "refresh-after-401", scene.one("POST", "/oauth/token", grant("refresh_token"))

    def login(self, scene):
        with login_ports(), self._command("login") as program:
            address = program.line(r"https?://\S+/oauth/authorize\?\S+").group()
            self._lab.backend.approve(address)
            assert program.wait() == 0, program.output
        yield "login-url", login_url(address)
        yield "code-exchange", scene.one("POST", "/oauth/token", grant("authorization_code"))
        with self._command("logout", "--revoke", "--yes") as program:
            assert program.wait() == 0, program.output
        yield "revoke", scene.one("POST", "/oauth/revoke")
        yield "auth-connection", opening(scene, lambda request: request.path.endswith("/oauth/token"))

    def device(self, scene):
        with self._command("login", "--device") as program:
            code = program.line(r"[A-Z0-9]{4}-[A-Z0-9]{5}").group()
            self._lab.control("POST", "device", {"user_code": code, "approve": True})
            yield "device-usercode", scene.one("POST", "/deviceauth/usercode")
            yield "device-poll", scene.one("POST", "/deviceauth/token")
            yield "device-code-exchange", scene.one("POST", "/oauth/token")

    def _command(self, *arguments):
        """Starts a command with a home of its own, and a browser that does nothing."""
        home = self._lab.directory / "login"
        env = environment(CODEX_PROXY_HOME=str(home), BROWSER="true", **SETTINGS, **self._lab.settings())
        env.pop("DISPLAY", None)
        return Program(BINARIES / "codex-proxy", *arguments, env=env)

    # ---- what the official client sends through it

    def passed_http(self, scene):
        with self._through(ORDINARY):
            yield "turn", scene.one("POST", TURN, of_user)

    def passed_lite(self, scene):
        with self._through(LITE):
            yield "lite-turn", scene.one("POST", TURN, of_user)

    def passed_websocket(self, scene):
        with self._through(LITE, "--transport", "auto", websockets=True):
            yield "websocket-lite-turn", scene.one("FRAME", TURN, of_user)

    @contextmanager
    def _through(self, model, *flags, websockets=False):
        """The official client's interface in front of the program, with its first answer."""
        self._count += 1
        directory, login = self._lab.directory / f"through-{self._count}", self._lab.control("POST", "tokens")
        options = {"websockets": websockets, "login": login, "program": self._program}
        with self._proxy(*flags) as proxy:
            with Codex(directory, self._lab, proxy.base_url, model=model, **options).terminal() as terminal:
                terminal.say("hello")
                terminal.shows("You asked: “hello”")
                yield


def send(proxy, method, path, body=None):
    reply = httpx2.request(method, f"{proxy.url}{path}", json=body, timeout=PATIENCE)
    assert reply.status_code == 200, reply.text


def without_content(call):
    """Returns a call without input and tools, which come from the program's callers."""
    if not isinstance(body := call.get("body"), dict):
        return call
    return call | {"body": {name: "<content>" if name in ("input", "tools") else part for name, part in body.items()}}
