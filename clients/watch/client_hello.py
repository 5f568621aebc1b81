"""Reads the parts of a TLS ClientHello that tell clients apart."""


def outline(record):
    """Returns the fields of a ClientHello by the numbers of the registries. Clients shuffle extensions, so these are sorted."""
    # Record and handshake headers, version and random; then the session id.
    rest = Reader(record[5 + 4 + 2 + 32 :])
    rest.vector(1)
    ciphers = numbers(rest.vector(2))
    rest.vector(1)
    body, extensions = Reader(rest.vector(2)), {}
    while body.left:
        kind = body.number(2)
        extensions[kind] = body.vector(2)
    lists = {"groups": 10, "signature_algorithms": 13}
    return {
        "alpn": protocols(extensions[16]) if 16 in extensions else None,
        "ciphers": [f"{cipher:04x}" for cipher in ciphers],
        "extensions": sorted(extensions),
        **{name: [f"{number:04x}" for number in numbers(extensions[kind][2:])] for name, kind in lists.items()},
        "versions": [f"{number:04x}" for number in numbers(extensions[43][1:])],
        "key_shares": shares(extensions[51]),
    }


class Reader:
    def __init__(self, left):
        self.left = left

    def take(self, size):
        assert len(self.left) >= size, "the ClientHello ends early"
        taken, self.left = self.left[:size], self.left[size:]
        return taken

    def number(self, width):
        return int.from_bytes(self.take(width), "big")

    def vector(self, width):
        return self.take(self.number(width))


def numbers(octets):
    return [int.from_bytes(octets[at : at + 2], "big") for at in range(0, len(octets), 2)]


def protocols(extension):
    names, found = Reader(extension[2:]), []
    while names.left:
        found.append(names.vector(1).decode())
    return found


def shares(extension):
    entries, found = Reader(extension[2:]), []
    while entries.left:
        found.append(f"{entries.number(2):04x}")
        entries.vector(2)
    return found
