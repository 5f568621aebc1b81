"""A listener with TLS that passes everything on to the simulator, and records the bytes that clients send.

It changes nothing but the certificate: the protocol that a client negotiates is negotiated with the simulator, too.
"""

import select
import socket
import ssl
import threading
import urllib.parse
from dataclasses import dataclass, field

import trustme
from harness import PATIENCE

BLOCK = 64 * 1024


class Authority:
    """The private CA of all taps, which the clients trust."""

    def __init__(self, directory):
        ca = trustme.CA()
        self.file = directory / "tap-ca.pem"
        ca.cert_pem.write_to_path(self.file)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.set_alpn_protocols(["h2", "http/1.1"])
        ca.issue_cert("localhost", "auth.openai.com").configure_cert(self.context)


@dataclass
class Connection:
    """What a client sent on one connection, and what it got."""

    # The first TLS record, in which a ClientHello fits.
    hello: bytes
    protocol: str | None
    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)


class Tap:
    """A listener in front of the simulator at `target`, whose certificate is signed by `target_ca`.

    It notifies the condition `changed` of all that is sent.
    """

    def __init__(self, target, target_ca, authority, changed):
        self.connections = []
        self._target = urllib.parse.urlsplit(target)
        self._target_ca = target_ca
        self._authority = authority
        self._changed = changed
        self._listener = socket.create_server(("127.0.0.1", 0))
        here = self._target._replace(netloc=f"localhost:{self._listener.getsockname()[1]}")
        self.url = urllib.parse.urlunsplit(here)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                stream, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[stream], daemon=True).start()

    def _serve(self, stream):
        try:
            stream.settimeout(PATIENCE)
            if stream.recv(8, socket.MSG_PEEK) == b"CONNECT ":
                accept_connect(stream)
            hello = first_record(stream)
            with self._authority.context.wrap_socket(stream, server_side=True) as client:
                connection = Connection(hello, client.selected_alpn_protocol())
                with self._connect(connection.protocol) as server:
                    self.connections.append(connection)
                    relay(client, server, connection, self._changed)
        except OSError:
            # Clients close connections as they like, and the programs are killed at the end of a test.
            pass

    def _connect(self, protocol):
        context = ssl.create_default_context(cafile=self._target_ca)
        if protocol:
            context.set_alpn_protocols([protocol])
        address = (self._target.hostname, self._target.port)
        return context.wrap_socket(socket.create_connection(address, PATIENCE), server_hostname=self._target.hostname)


def accept_connect(stream):
    """Answers a client that takes the tap for an HTTP proxy: whatever host it asks for, it gets the simulator."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += stream.recv(1)
    stream.sendall(b"HTTP/1.1 200 OK\r\n\r\n")


def first_record(stream):
    """Returns the first TLS record without taking it away from the handshake."""
    stream.recv(1, socket.MSG_PEEK)
    head = stream.recv(5, socket.MSG_PEEK | socket.MSG_WAITALL)
    whole = 5 + int.from_bytes(head[3:5], "big")
    return stream.recv(whole, socket.MSG_PEEK | socket.MSG_WAITALL)


def relay(client, server, connection, changed):
    """Copies bytes in both directions until either side closes."""
    ways = {client: (server, connection.sent), server: (client, connection.received)}
    for stream in ways:
        stream.setblocking(False)
    while True:
        ready = [stream for stream in ways if stream.pending()] or select.select(ways, [], [])[0]
        for stream in ready:
            other, record = ways[stream]
            try:
                block = stream.recv(BLOCK)
            except ssl.SSLWantReadError:
                continue
            if not block:
                return
            with changed:
                record += block
                changed.notify_all()
            send_all(other, block)


def send_all(stream, block):
    rest = memoryview(block)
    while rest:
        try:
            rest = rest[stream.send(rest) :]
        except ssl.SSLWantWriteError:
            select.select([], [stream], [], PATIENCE)
