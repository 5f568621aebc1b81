"""The official client's interface in a terminal: in front of the simulator, for reference, and of the proxy, set up by the page."""

import re
from dataclasses import dataclass

import pytest
from codex_cli import Codex
from exercised import exercises
from harness import KEY, Proxy
from snippets import Page, at
from watch import wire
from watch.lab import Lab
from watch.official import of_user

PAGE = Page("codex-cli")
ORDINARY, LITE = "gpt-5.5", "gpt-6.2-sol"
# Slow enough to be interrupted, but not so slow that its end is waited for too long: 8 s.
SLOW, ITS_END = "[sim:big=80][sim:delay=100] slowly", " 80"
# Takes longer than any test waits.
ENDLESS = "[sim:big=3000][sim:delay=100] slowly"
TURN = "/codex/responses"
ESCAPE = "\x1b"


@dataclass(frozen=True)
class Way:
    """How the client reaches the backend: over HTTP or a WebSocket, directly or with a transport of the proxy."""

    transport: str
    through: str | None

    def __str__(self):
        return f"{self.transport}-{self.through or 'direct'}"


WAYS = (
    Way("http", None), Way("websocket", None), Way("http", "http"), Way("websocket", "http"), Way("websocket", "auto"),
)
every_way = pytest.mark.parametrize("way", WAYS, ids=str)
each_model = pytest.mark.parametrize("model", [ORDINARY, LITE])


@pytest.fixture
def lab(tmp_path):
    (tmp_path / "lab").mkdir()
    with Lab(tmp_path / "lab") as lab:
        yield lab


@pytest.fixture
def scene(lab):
    with lab.scene() as scene:
        yield scene


@pytest.fixture
def proxy(lab, way):
    """The program, or nothing where the client does without."""
    if not way.through:
        yield None
        return
    lab.backend.log_in(lab.directory / "home")
    with Proxy(lab.directory / "home", "--transport", way.through, CODEX_PROXY_API_KEY=KEY, **lab.settings()) as proxy:
        yield proxy


@pytest.fixture
def terminal(lab, proxy, set_up, tmp_path, way, model):
    if proxy:
        started = set_up(proxy, way.transport).terminal(model)
    else:
        options = {"websockets": way.transport == "websocket", "login": lab.control("POST", "tokens")}
        started = Codex(tmp_path / "codex", lab, f"{lab.upstream_url}/codex", model=model, **options).terminal()
    with started as terminal:
        yield terminal


def inputs(scene):
    """Returns the input of each turn of the user's, oldest first."""
    return [
        turn.body["input"] for method in ("POST", "FRAME") for turn in scene.all(method, TURN)
        if turn.body.get("input") and of_user(turn)
    ]


@exercises("responses", "websocket", "stream", "turns")
@every_way
@each_model
def test_a_conversation_is_compacted_and_goes_on(scene, terminal, proxy):
    terminal.say("hello")
    terminal.shows("You asked: “hello”")
    terminal.shows("Worked for")
    terminal.say("/compact")
    terminal.shows("Context compacted")
    terminal.say("again")
    terminal.shows("You asked: “again”")
    assert "■" not in terminal.text, terminal.text
    kinds = [[item["type"] for item in turn] for turn in inputs(scene)]
    # For providers of other names, the client asks the model for a summary instead.
    assert any(turn[-1] == "compaction_trigger" for turn in kinds) == any("compaction" in turn for turn in kinds) == (not proxy)


@exercises("responses", "websocket", "stream", "turns")
@every_way
@each_model
def test_a_message_during_a_reply_is_answered(scene, terminal, way, model):
    terminal.say(SLOW)
    scene.event("response.output_text.delta")
    terminal.say("stop")
    terminal.shows("You asked: “stop”")
    assert "■" not in terminal.text, terminal.text
    # Over a WebSocket, the client lets replies of the ordinary shape run to their end.
    assert (ITS_END in terminal.text) == (way.transport == "websocket" and model == ORDINARY), terminal.text


@exercises("responses", "websocket", "stream", "turns")
@pytest.mark.parametrize("way", [way for way in WAYS if way.transport == "websocket" and way.through != "http"], ids=str)
@pytest.mark.parametrize("model", [LITE])
def test_an_interrupted_reply_leaves_the_socket_at_the_backend_open(scene, terminal, way, model):
    terminal.say(SLOW)
    scene.event("response.output_text.delta")
    terminal.say("stop")
    terminal.shows("You asked: “stop”")
    frames = [[one for one in wire.requests(connection) if one.method == "FRAME"] for connection in scene.connections]
    ((socket, sent),) = [pair for pair in zip(scene.connections, frames) if any(of_user(frame) for frame in pair[1])]
    kinds = [frame.body["type"] for frame in sent]
    assert kinds[-2:] == ["response.interrupt", "response.create"], kinds
    ends = [kind for kind in wire.events(socket) if kind in ("response.completed", "response.incomplete")]
    assert ends[-2:] == ["response.incomplete", "response.completed"], ends


@exercises("responses", "websocket", "stream", "turns")
@every_way
@each_model
def test_escape_ends_a_reply(scene, terminal):
    terminal.say(ENDLESS)
    scene.event("response.output_text.delta")
    terminal.shows("esc to interrupt")
    terminal.type(ESCAPE)
    terminal.shows("Conversation interrupted")
    terminal.say("after")
    terminal.shows("You asked: “after”")
    assert " 3000" not in terminal.text, terminal.text


def test_status_shows_the_limits_before_the_first_turn(lab, tmp_path):
    """With the page's `chatgpt_base_url`: the client has a login, and the proxy no key."""
    lab.backend.log_in(lab.directory / "home")
    with Proxy(lab.directory / "home", **lab.settings()) as proxy:
        (address,) = re.findall('"(.*)"', at(proxy, PAGE.block("toml", "chatgpt_base_url")))
        options = {"chatgpt_base_url": address, "login": lab.control("POST", "tokens")}
        codex = Codex(tmp_path / "codex", lab, proxy.base_url, model=LITE, **options)
        with codex.terminal() as terminal:
            terminal.say("/status")
            terminal.shows(r"5h limit: +\[.*% left")
