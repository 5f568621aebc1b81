"""Sends recorded requests of clients that cannot run here, and reads the replies.

A file is a whole request as the client sends it: method and address, headers, a blank line and the body. The user's settings and a
test's values are inserted for `{{name}}`.
"""

import json
import re
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from harness import PATIENCE

HERE = Path(__file__).resolve().parent


class Failed(Exception):
    """What a client shows as an error instead of an answer."""

    def __init__(self, error, status=None):
        super().__init__(error["message"])
        self.message, self.code, self.status = error["message"], error.get("code"), status


@dataclass
class Request:
    method: str
    url: str
    headers: dict
    body: dict | None

    def send(self):
        # Whatever the settings, a client that appends its path to the base URL must end up with /v1 exactly once.
        assert re.fullmatch(r"/v1(/[a-z]+)+", urllib.parse.urlsplit(self.url).path), self.url
        content = None if self.body is None else json.dumps(self.body)
        reply = httpx2.request(self.method, self.url, headers=self.headers, content=content, timeout=PATIENCE)
        return Reply(reply.status_code, reply.headers, reply.text)


@dataclass
class Reply:
    status: int
    headers: dict
    text: str

    def json(self):
        """Returns the body of a non-streaming reply; raises an error for an error status."""
        assert self.headers["content-type"] == "application/json", self.text
        body = json.loads(self.text)
        if self.status != 200:
            raise Failed(body["error"], self.status)
        return body

    def events(self):
        """Returns the data of each event of a stream, as strict as the strictest decoders: only `event` and `data`, one line each."""
        if self.status != 200:
            self.json()
        assert self.headers["content-type"].startswith("text/event-stream")
        assert self.text.endswith("\n\n"), "the last event is whole"
        frames = [frame for frame in self.text.split("\n\n") if frame and not frame.startswith(":")]
        data = [re.fullmatch(r"(?:event: [a-z_.]+\n)?data: ([^\n]+)", frame) for frame in frames]
        assert all(data), self.text
        return [event.group(1) for event in data]


def request(client, name, **values):
    """Returns the request in `client`/`name`.http, with `values` inserted."""
    head, _, body = (HERE / client / f"{name}.http").read_text(encoding="utf-8").partition("\n\n")
    first, *lines = filled(head, values).splitlines()
    method, url = first.split(" ")
    headers = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Request(method, url, headers, filled(json.loads(body), values) if body.strip() else None)


def filled(template, values):
    """Inserts each value."""
    if isinstance(template, str):
        return re.sub(r"\{\{([a-z_]+)\}\}", lambda place: values[place.group(1)], template)
    if isinstance(template, list):
        return [filled(part, values) for part in template]
    if isinstance(template, dict):
        return {name: filled(part, values) for name, part in template.items()}
    return template


# ---- what the user of a client sees


@dataclass
class Seen:
    text: str = ""
    reasoning: str = ""
    calls: list = field(default_factory=list)
    usage: dict | None = None
    finish: str | None = None

    def message(self):
        """Returns the answer as chat clients store it for the next turn."""
        calls = [{"id": call["id"], "type": "function", "function": {n: call[n] for n in ("name", "arguments")}} for call in self.calls]
        return {"role": "assistant", "content": self.text or None, **({"tool_calls": calls} if calls else {})}


def whole(reply):
    """Reads a non-streaming chat reply."""
    body = reply.json()
    (choice,) = body["choices"]
    message = choice["message"]
    calls = [{"id": call["id"], **call["function"]} for call in message.get("tool_calls") or []]
    return Seen(message["content"] or "", message.get("reasoning_content") or "", calls, body["usage"], choice["finish_reason"])


def streamed(reply, insist=lambda chunk: None):
    """Reads a streamed chat reply; `insist` checks what this client requires of every chunk."""
    *events, last = reply.events()
    assert last == "[DONE]"
    seen = Seen()
    for chunk in map(json.loads, events):
        if error := chunk.get("error"):
            assert seen.finish is None, "no clean finish before an error"
            raise Failed(error)
        insist(chunk)
        seen.usage = chunk.get("usage") or seen.usage
        for choice in chunk["choices"]:
            delta = choice["delta"]
            seen.text += delta.get("content") or ""
            seen.reasoning += delta.get("reasoning_content") or ""
            for part in delta.get("tool_calls") or []:
                if part["index"] == len(seen.calls):
                    assert part["type"] == "function"
                    seen.calls.append({"id": part["id"], "name": part["function"]["name"], "arguments": ""})
                seen.calls[part["index"]]["arguments"] += part["function"].get("arguments", "")
            if choice["finish_reason"]:
                assert seen.finish is None, "one finish"
                seen.finish = choice["finish_reason"]
    assert seen.finish, "a stream without a finish is a broken one"
    return seen


def response(body):
    """Reads a non-streaming response of the Responses API."""
    if body["status"] == "failed":
        raise Failed(body["error"])
    output = body["output"]
    text = "".join(part["text"] for item in output if item["type"] == "message" for part in item["content"])
    calls = [item for item in output if item["type"] == "function_call"]
    return Seen(text, "", calls, body["usage"], body["status"])


def response_streamed(reply):
    """Reads a streamed response from its last event, and checks that the deltas agree."""
    events = [json.loads(event) for event in reply.events() if event != "[DONE]"]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[0]["type"] == "response.created"
    last = events[-1]
    assert last["type"] in ("response.completed", "response.incomplete", "response.failed"), last
    seen = response(last["response"])
    assert seen.text == "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    return seen
