"""Reads requests and WebSocket messages from the bytes of a connection, with names, spelling and order as they were sent."""

import json
import re
import urllib.parse
import zlib
from dataclasses import dataclass, field

import zstandard
from hpack import Decoder
from hyperframe.frame import ContinuationFrame, DataFrame, Frame, HeadersFrame, SettingsFrame, WindowUpdateFrame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@dataclass
class Request:
    """One request, or, with the method FRAME, one message of a WebSocket."""

    method: str
    target: str
    version: str
    headers: list = field(default_factory=list)
    # As sent, perhaps compressed.
    raw: bytes = b""

    @property
    def path(self):
        return self.target.partition("?")[0]

    @property
    def query(self):
        return urllib.parse.parse_qsl(self.target.partition("?")[2], keep_blank_values=True)

    def header(self, name):
        return next((value for own, value in self.headers if own.lower() == name), None)

    @property
    def body(self):
        """The body as JSON, a list of form fields, or None if there is none."""
        raw = self.raw
        if self.header("content-encoding") == "zstd":
            raw = zstandard.ZstdDecompressor().decompressobj().decompress(raw)
        if not raw:
            return None
        if self.header("content-type") == "application/x-www-form-urlencoded":
            return urllib.parse.parse_qsl(raw.decode(), keep_blank_values=True)
        return json.loads(raw)


def requests(connection):
    """Returns the whole requests of a connection, oldest first."""
    if connection.protocol == "h2":
        return list(http2(bytes(connection.sent)))
    return list(http1(bytes(connection.sent), bytes(connection.received)))


def events(connection):
    """Returns the types of the events that a client got, as it got them."""
    received = bytes(connection.received)
    if connection.protocol == "h2":
        text = b"".join(frame.data for frame in frames(received) if isinstance(frame, DataFrame))
    else:
        text = b"\n".join(messages(received.partition(b"\r\n\r\n")[2], is_deflated(received)))
    return re.findall(r'^(?:data: )?\{"type": ?"([\w.]+)"', text.decode(errors="replace"), re.MULTILINE)


# ---- HTTP/1.1


def http1(sent, received):
    while (end := sent.find(b"\r\n\r\n")) >= 0:
        line, *lines = sent[:end].decode("latin-1").split("\r\n")
        method, target, version = line.split(" ")
        request = Request(method, target, version, [tuple(line.split(": ", 1)) for line in lines])
        size = int(request.header("content-length") or 0)
        request.raw, sent = sent[end + 4 : end + 4 + size], sent[end + 4 + size :]
        yield request
        if request.header("upgrade"):
            for message in messages(sent, is_deflated(received)):
                yield Request("FRAME", request.path, "WebSocket", [], message)
            return


def is_deflated(received):
    return b"permessage-deflate" in received.partition(b"\r\n\r\n")[0].lower()


def messages(sent, is_deflated):
    """Yields the text messages of a WebSocket. Clients mask theirs."""
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    while len(sent) >= 2:
        first, size, at = sent[0], sent[1] & 0x7F, 2
        if size >= 126:
            width = 2 if size == 126 else 8
            size, at = int.from_bytes(sent[2 : 2 + width], "big"), 2 + width
        is_masked = sent[1] >> 7
        mask = sent[at : at + 4 * is_masked]
        at += len(mask)
        data, sent = sent[at : at + size], sent[at + size :]
        if len(data) < size or len(mask) < 4 * is_masked:
            return
        if is_masked:
            repeated = (mask * (size // 4 + 1))[:size]
            data = (int.from_bytes(data, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big")
        if first & 0x0F != 1:
            continue
        assert first & 0x80, "none of these programs splits a message"
        if is_deflated and first & 0x40:
            data = inflate.decompress(data + b"\x00\x00\xff\xff")
        yield data


# ---- HTTP/2


def http2(sent):
    decoder, streams, head = Decoder(max_header_list_size=2**20), {}, bytearray()
    for frame in frames(sent):
        if isinstance(frame, HeadersFrame | ContinuationFrame):
            head += frame.data
            if "END_HEADERS" in frame.flags:
                streams[frame.stream_id] = from_fields(decoder.decode(bytes(head)))
                head.clear()
        elif isinstance(frame, DataFrame):
            streams[frame.stream_id].raw += frame.data
        if "END_STREAM" in frame.flags:
            yield streams.pop(frame.stream_id)


def frames(sent):
    rest = memoryview(sent.removeprefix(PREFACE))
    while len(rest) >= 9:
        frame, size = Frame.parse_frame_header(rest[:9])
        if len(rest) < 9 + size:
            return
        frame.parse_body(rest[9 : 9 + size])
        rest = rest[9 + size :]
        yield frame


def from_fields(fields):
    fields = [(text(name), text(value)) for name, value in fields]
    pseudo = dict(pair for pair in fields if pair[0].startswith(":"))
    headers = [pair for pair in fields if not pair[0].startswith(":")]
    return Request(pseudo[":method"], pseudo[":path"], "HTTP/2", headers)


def text(value):
    return value if isinstance(value, str) else value.decode()


def preface(connection):
    """Returns how a connection with HTTP/2 begins: its settings, window and order of pseudo-headers."""
    opening = list(frames(bytes(connection.sent)))
    head = next(frame for frame in opening if isinstance(frame, HeadersFrame))
    fields = Decoder().decode(head.data)
    return {
        "settings": next(dict(frame.settings) for frame in opening if isinstance(frame, SettingsFrame) and frame.settings),
        "window": next((frame.window_increment for frame in opening if isinstance(frame, WindowUpdateFrame)), None),
        "pseudo_headers": [text(name) for name, _ in fields if text(name).startswith(":")],
        "has_priority": "PRIORITY" in head.flags,
    }
