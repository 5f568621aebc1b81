"""What can go wrong with a turn, and what is then true of every client.

A client's tests go through `FAULTS`, streamed and whole where the client has both, and say what its user gets: an exception of
the right class, or an exit code and a message, and never an empty answer that looks like one.
"""

from dataclasses import dataclass

import pytest
from harness import MODEL


@dataclass(frozen=True)
class Fault:
    name: str
    # The words that have the simulator fail so, for `ask` and its kin.
    scenario: str
    # What is answered while no byte of the reply is out, and the error's code there.
    status: int
    code: str | None
    # What the message says, as far as it is the proxy's.
    says: str
    # How many requests reach the backend for one of the client's.
    turns: int = 1
    # Whether a stream has begun when it happens, so that the error comes as its last event.
    is_late: bool = False
    # Whether an SDK's own retries are in place: elsewhere a client that asks again makes a storm.
    is_retryable: bool = False
    model: str = MODEL

    @property
    def words(self):
        """The scenario as it stands in a prompt."""
        return "".join(f"[sim:{word}]" for word in self.scenario.split())

    @property
    def sdk_class(self):
        """The name of the exception that OpenAI's SDKs have for the status, in Python and in JavaScript alike."""
        by_status = {400: "BadRequestError", 401: "AuthenticationError", 404: "NotFoundError", 429: "RateLimitError"}
        return by_status.get(self.status, "InternalServerError")

    def most_turns(self, retries):
        """How many requests may reach the backend, for a client that tries again up to `retries` times."""
        return self.turns * (1 + retries) if self.is_retryable else self.turns


CUT = Fault("cut", "cut", 502, "stream_truncated", "broke off", is_late=True, is_retryable=True)
STALLED = Fault("stalled", "stall", 504, "upstream_timeout", "silent for too long", is_late=True, is_retryable=True)
LOGIN = Fault("login", "401", 401, "upstream_login_required", "codex-proxy login", turns=2)
CHALLENGE = Fault("challenge", "cloudflare", 502, "cloudflare_challenge", "Cloudflare", turns=2)
USAGE_LIMIT = Fault("usage-limit", "429-usage", 429, "usage_limit_reached", "usage limit has been reached")
SERVER_ERROR = Fault("server-error", "500", 502, "server_error", "had an error", turns=5)
# It shows only inside a 200, before the first output.
OVERLOAD = Fault("overload", "overloaded", 503, "server_is_overloaded", "overloaded", turns=2, is_retryable=True)
CONTEXT = Fault("context", "context-length", 400, "context_length_exceeded", "maximum context length")
UNKNOWN_MODEL = Fault("unknown-model", "", 404, "model_not_found", "no-such-model", model="no-such-model")
REFUSED = Fault("refused-parameter", "422", 400, None, "input")

# Not among them: a content filter ends a reply in good order, with `finish_reason` or `incomplete_details` to say so.
FAULTS = (CUT, STALLED, LOGIN, CHALLENGE, USAGE_LIMIT, SERVER_ERROR, OVERLOAD, CONTEXT, UNKNOWN_MODEL, REFUSED)
CONTENT_FILTER = "incomplete-content-filter"

each_fault = pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
