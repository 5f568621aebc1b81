"""What the official client sends: each call once, by name."""

import json
import urllib.parse

from codex_cli import Codex
from environments import login_ports
from harness import Program
from watch import client_hello, outline, wire
from watch.lab import grant

ORDINARY, LITE = "gpt-5.5", "gpt-6.1-sol"
TURN = "/codex/responses"
# So slow that it can be interrupted.
SLOW = "[sim:big=400][sim:delay=50] slowly"


class Official:
    """The client at `program`, in front of a laboratory."""

    def __init__(self, lab, program):
        self._lab, self._program, self._count = lab, program, 0

    def calls(self):
        """Returns the outline of each call by its name."""
        found, endpoints = {}, set()
        turns = (self.by_exec, self.http, self.lite, self.image, self.websocket, self.lite_websocket)
        tokens = (self.refresh, self.recovery, self.login, self.device)
        for scenario in turns + tokens:
            with self._lab.scene() as scene:
                found |= {name: outline.of_call(name, made) for name, made in scenario(scene)}
                endpoints |= set(scene.endpoints())
        return found | {"endpoints": {"endpoints": sorted(endpoints)}}

    def codex(self, model=ORDINARY, login=True, **options):
        self._count += 1
        directory = self._lab.directory / f"codex-{self._count}"
        tokens = self._lab.control("POST", "tokens") if login is True else login
        return Codex(
            directory, self._lab, f"{self._lab.upstream_url}/codex", model=model, login=tokens, program=self._program, **options
        )

    # ---- turns

    def by_exec(self, scene):
        ran = self.codex().exec("hello")
        assert ran.code == 0, ran.stderr
        yield "exec-turn", scene.one("POST", TURN, of_user)
        yield "exec-models", scene.one("GET", "/codex/models")

    def http(self, scene):
        with self.codex().terminal() as terminal:
            terminal.say("hello")
            terminal.shows("You asked: “hello”")
            yield "turn", scene.one("POST", TURN, of_user)
            yield "models", scene.one("GET", "/codex/models")
            yield "accounts-check", scene.one("GET", "/wham/accounts/check")
            yield "usage", scene.one("GET", "/wham/usage")
            yield "reset-credits", scene.one("GET", "/wham/rate-limit-reset-credits")
            yield "user-settings", scene.one("GET", "/wham/settings/user")
            terminal.shows("Worked for")
            terminal.say("/compact")
            terminal.shows("Context compacted")
            yield "compaction", scene.one("POST", TURN, lambda turn: turn.body["input"][-1]["type"] == "compaction_trigger")
        yield "connection", opening(scene, lambda request: request.path.endswith(TURN))

    def lite(self, scene):
        with self.codex(LITE).terminal() as terminal:
            terminal.say("hello")
            terminal.shows("You asked: “hello”")
            yield "lite-turn", scene.one("POST", TURN, of_user)

    def image(self, scene):
        with self.codex().terminal() as terminal:
            terminal.say('[sim:tool-once=imagegen][sim:args-once={"prompt":"a cat"}] draw')
            yield "image", scene.one("POST", "/codex/images/generations")

    def websocket(self, scene):
        with self.codex(websockets=True).terminal() as terminal:
            terminal.say("hello")
            terminal.shows("You asked: “hello”")
            terminal.say("again")
            terminal.shows("You asked: “again”")
            yield "websocket-upgrade", scene.one("GET", TURN)
            for name, frame in zip(["warm-up", "turn", "increment"], scene.all("FRAME", TURN, of_user), strict=True):
                yield f"websocket-{name}", frame
        yield "websocket-connection", opening(scene, lambda request: request.method == "FRAME")

    def lite_websocket(self, scene):
        with self.codex(LITE, websockets=True).terminal() as terminal:
            terminal.say(SLOW)
            scene.event("response.output_text.delta")
            terminal.say("stop")
            yield "websocket-lite-upgrade", scene.one("GET", TURN)
            yield "websocket-lite-interrupt", scene.one("FRAME", TURN, lambda frame: frame.body["type"] == "response.interrupt")
            for name, frame in zip(["warm-up", "turn"], scene.all("FRAME", TURN, of_user)):
                yield f"websocket-lite-{name}", frame

    # ---- tokens

    def refresh(self, scene):
        expired = self._lab.control("POST", "tokens", {"lifetime_secs": 60})
        fresh = self._lab.control("POST", "tokens")
        ran = self.codex(login=expired | {"refresh_token": fresh["refresh_token"]}).exec("hello")
        assert ran.code == 0, ran.stderr
        yield "refresh", scene.one("POST", "/oauth/token", grant("refresh_token"))

    def recovery(self, scene):
        tokens = self._lab.control("POST", "tokens")
        self._lab.control("POST", "invalidate")
        ran = self.codex(login=tokens).exec("hello")
        assert ran.code == 0, ran.stderr
        yield "refresh-after-401", scene.one("POST", "/oauth/token", grant("refresh_token"))

    def login(self, scene):
        codex = self.codex(login=None)
        env = codex.env | self._lab.proxy_settings
        with login_ports(), Program(codex.program, "login", env=env) as program:
            address = program.line(r"https://\S+/oauth/authorize\?\S+").group()
            self._lab.backend.approve(address)
            assert program.wait() == 0, program.output
        yield "login-url", login_url(address)
        yield "code-exchange", scene.one("POST", "/oauth/token", grant("authorization_code"))
        ran = codex.run("logout")
        assert ran.code == 0, ran.stderr
        yield "revoke", scene.one("POST", "/oauth/revoke")
        yield "auth-connection", opening(scene, lambda request: request.path.endswith("/oauth/token"))

    def device(self, scene):
        codex = self.codex(login=None)
        command = ["login", "--device-auth", "--experimental_issuer", self._lab.auth_url]
        with Program(codex.program, *command, env=codex.env) as program:
            code = program.line(r"[A-Z0-9]{4}-[A-Z0-9]{5}").group()
            self._lab.control("POST", "device", {"user_code": code, "approve": True})
            yield "device-usercode", scene.one("POST", "/deviceauth/usercode")
            yield "device-poll", scene.one("POST", "/deviceauth/token")
            yield "device-code-exchange", scene.one("POST", "/oauth/token")


def of_user(turn):
    """Whether a turn is the user's: the client runs turns of its own, to find a title."""
    metadata = turn.header("x-codex-turn-metadata") or turn.body.get("client_metadata", {}).get("x-codex-turn-metadata", "{}")
    return json.loads(metadata).get("thread_source") == "user"


def opening(scene, wanted):
    """Returns how the connection of the first such request was opened."""
    connection = next(one for one in scene.connections if any(wanted(request) for request in wire.requests(one)))
    made = {"tls": client_hello.outline(connection.hello)}
    return made | {"http2": wire.preface(connection)} if connection.protocol == "h2" else made


def login_url(address):
    url = urllib.parse.urlsplit(address)
    return {"path": url.path, "query": outline.members(urllib.parse.parse_qsl(url.query))}
