"""The simulated backend behind two taps, and what was sent through them."""

import threading
import time
import urllib.parse
from contextlib import contextmanager

from harness import PATIENCE, Backend
from watch import wire
from watch.tap import Authority, Tap


class Lab:
    """A simulator that clients reach through taps only; has what clients need to know of a `Backend`."""

    def __init__(self, directory):
        self.directory = directory
        self.changed = threading.Condition()
        self._authority = Authority(directory)
        self.backend = Backend(directory)
        self._taps = [self._tap(self.backend.upstream_url), self._tap(self.backend.auth_url)]
        self.upstream_url, self.auth_url = (tap.url for tap in self._taps)
        self.ca = self._authority.file
        self.control = self.backend.control

    def _tap(self, target):
        return Tap(target, self.backend.ca, self._authority, self.changed)

    @property
    def proxy_settings(self):
        """The environment of a client that must reach an address which it does not let its users choose."""
        return {"HTTPS_PROXY": f"http://{urllib.parse.urlsplit(self.auth_url).netloc}", "NO_PROXY": "localhost"}

    def settings(self):
        """Returns the environment that points the program to this backend."""
        urls = {"CODEX_PROXY_UPSTREAM_URL": self.upstream_url, "CODEX_PROXY_AUTH_URL": self.auth_url}
        return urls | {"CODEX_PROXY_CA": str(self.ca)}

    @contextmanager
    def scene(self):
        """A scenario: what clients send during it, by connection."""
        for tap in self._taps:
            tap.connections = []
        yield Scene(self._taps, self.changed)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.backend.kill()
        for tap in self._taps:
            tap.close()


class Scene:
    def __init__(self, taps, changed):
        self._taps, self._changed = taps, changed

    @property
    def connections(self):
        return [connection for tap in self._taps for connection in tap.connections]

    @property
    def requests(self):
        return [request for connection in self.connections for request in wire.requests(connection)]

    def all(self, method, path, where=lambda request: True):
        """Returns the requests with a path that ends in `path`."""
        return [one for one in self.requests if one.method == method and one.path.endswith(path) and where(one)]

    def one(self, method, path, where=lambda request: True):
        """Waits for the first request of this kind and returns it."""
        return self._wait(lambda: self.all(method, path, where), f"{method} {path}")[0]

    def event(self, kind, number=0):
        """Waits until the backend has sent the event `number` of this type."""
        self._wait(lambda: self.events().count(kind) > number, kind)

    def events(self):
        return [kind for connection in self.connections for kind in wire.events(connection)]

    def _wait(self, condition, wanted):
        deadline = time.monotonic() + PATIENCE
        with self._changed:
            while not (found := condition()):
                assert self._changed.wait(deadline - time.monotonic()), f"no {wanted} among {self.endpoints()} {self.events()}"
        return found

    def endpoints(self):
        return sorted({f"{request.method} {request.path}" for request in self.requests})



def grant(kind):
    """Returns what tells the requests of one kind to the token URL."""
    return lambda request: dict(request.body)["grant_type"] == kind
