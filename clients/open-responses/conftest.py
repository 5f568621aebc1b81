"""A client that follows the Open Responses specification, over HTTP and over a WebSocket."""

import json

import httpx2
import pytest
from harness import KEY, MODEL, PATIENCE
from open_responses import Reader
from websockets.sync.client import connect


class Client:
    def __init__(self, proxy):
        self._base_url = proxy.base_url
        self._headers = {"Authorization": f"Bearer {KEY}"}

    def post(self, body, path="responses"):
        return httpx2.post(f"{self._base_url}/{path}", json=body, headers=self._headers, timeout=PATIENCE)

    def create(self, input="Hello!", **more):
        """Sends a request; its input may contain words that tell the simulator what to answer."""
        return self.post({"model": MODEL, "input": input, **more})

    def connect(self):
        address = f"{self._base_url.replace('http', 'ws', 1)}/responses"
        return Socket(connect(address, additional_headers=self._headers, proxy=None, open_timeout=PATIENCE))


class Socket:
    def __init__(self, connecting):
        self._connecting = connecting

    def create(self, input="Hello!", **more):
        self.send({"type": "response.create", "model": MODEL, "input": input, **more})

    def send(self, frame):
        self._connection.send(json.dumps(frame))

    def receive(self):
        return json.loads(self._connection.recv(timeout=PATIENCE))

    def read(self):
        """Reads one response to its end."""
        reader = Reader()
        while reader.response is None:
            event = self.receive()
            # Corresponds to the headers of an HTTP reply; not part of the specification.
            if event["type"] != "response.metadata":
                reader.take(event)
        return reader

    def __enter__(self):
        self._connection = self._connecting.__enter__()
        return self

    def __exit__(self, *why):
        self._connecting.__exit__(*why)


@pytest.fixture
def client(proxy):
    return Client(proxy)
