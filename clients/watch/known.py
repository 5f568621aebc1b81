"""How the program differs from the official client on purpose. The documentation of `codex_upstream::requests` says the same."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """Differences in the calls and at the paths that the patterns match as a whole, and the reason for them."""

    calls: str
    paths: str
    reason: str

    def covers(self, call, path):
        return bool(re.fullmatch(self.calls, call) and re.fullmatch(self.paths, path))


TURNS = "turn|compaction|websocket-turn"

# Of calls that the program makes for its own callers.
OWN = (
    Known(
        "turn|compaction|image|websocket-upgrade", "header x-codex-(window-id|turn-metadata|image-turn-id)",
        "describes a session at a terminal",
    ),
    Known(TURNS, r"body\.client_metadata(\..*)?", "likewise; a message on a WebSocket contains what it must"),
    Known(TURNS, r"body\.instructions", "required for older models; here, the official client has them in its input"),
    Known("turn|websocket-turn", r"body\.(tools|reasoning\..*)", "the caller's; the official client always has them"),
    Known("compaction", r"body\.(tools|reasoning|include)", "likewise"),
    Known(TURNS, r"body\.text\.verbosity", "the caller's, or the public API's default; the official client sends the model's"),
    Known("websocket-turn", r"body\.previous_response_id", "the official client's turn follows its warm-up"),
    Known("websocket-upgrade", "header sec-websocket-extensions", "compression is not offered"),
    Known(".*connection", r"tls\.(ciphers|extensions|signature_algorithms)", "see `Emulation::Codex` of codex-upstream"),
)
# Of what the official client sends through the program.
PASSED_ON = (
    Known("turn|lite-turn", "header x-codex-(window-id|turn-metadata)", "the program does not pass on headers"),
    Known("turn", r"body\.instructions", "required for older models"),
    Known("websocket-lite-turn", r"body\.previous_response_id", "the warm-up is answered by the program"),
)


def unknown(pairs, recorded, known, differences):
    """Returns a line for each difference of the calls `pairs` from the recordings that is not in `known`, and for each
    entry of `known` that covers none any more.
    """
    lines, used = [], set()
    for call, made in pairs:
        for path, line in differences(recorded(call), made).items():
            covering = {one for one in known if one.covers(call, path)}
            used |= covering
            if not covering:
                lines.append(f"{call}: {line}")
    return lines + [f"{one.calls}: no longer a difference: {one.paths}" for one in known if one not in used]
