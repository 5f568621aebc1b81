"""The faults of a turn, and what holds for every client.

Each client's tests run all `FAULTS`, with and without streaming where the client supports both, and check what its user gets: an
exception of the right class, or an exit code and a message, and never an empty answer that looks complete.
"""

from dataclasses import dataclass

import pytest
from harness import MODEL


@dataclass(frozen=True)
class Fault:
    name: str
    # The words that make the simulator fail this way, for `ask` and similar functions.
    scenario: str
    # The status and the error code before the first byte of the reply.
    status: int
    code: str | None
    # A part of the message, as far as the proxy writes it.
    says: str
    # The number of requests to the backend for each request of the client.
    turns: int = 1
    # Whether the stream has already started, so the error is its last event.
    is_late: bool = False
    # Whether SDKs should retry. Otherwise a client's retries would multiply the proxy's.
    is_retryable: bool = False
    model: str = MODEL

    @property
    def words(self):
        """The scenario as written in a prompt."""
        return "".join(f"[sim:{word}]" for word in self.scenario.split())

    @property
    def sdk_class(self):
        """The exception class for the status in OpenAI's SDKs for Python and JavaScript."""
        by_status = {400: "BadRequestError", 401: "AuthenticationError", 404: "NotFoundError", 429: "RateLimitError"}
        return by_status.get(self.status, "InternalServerError")

    def most_turns(self, retries):
        """The maximum number of requests to the backend for a client that retries up to `retries` times."""
        return self.turns * (1 + retries) if self.is_retryable else self.turns


CUT = Fault("cut", "cut", 502, "stream_truncated", "cut off", is_late=True, is_retryable=True)
STALLED = Fault("stalled", "stall", 504, "upstream_timeout", "timed out", is_late=True, is_retryable=True)
LOGIN = Fault("login", "401", 401, "upstream_login_required", "codex-proxy login", turns=2)
CHALLENGE = Fault("challenge", "cloudflare", 502, "cloudflare_challenge", "Cloudflare", turns=2)
USAGE_LIMIT = Fault("usage-limit", "429-usage", 429, "usage_limit_reached", "usage limit has been reached")
SERVER_ERROR = Fault("server-error", "500", 502, "server_error", "had an error", turns=5)
# Reported only within a 200, before the first output.
OVERLOAD = Fault("overload", "overloaded", 503, "server_is_overloaded", "overloaded", turns=2, is_retryable=True)
CONTEXT = Fault("context", "context-length", 400, "context_length_exceeded", "maximum context length")
UNKNOWN_MODEL = Fault("unknown-model", "", 404, "model_not_found", "no-such-model", model="no-such-model")
REFUSED = Fault("refused-parameter", "422", 400, None, "input")

# A content filter is not a fault: it ends a reply normally, and `finish_reason` or `incomplete_details` reports it.
FAULTS = (CUT, STALLED, LOGIN, CHALLENGE, USAGE_LIMIT, SERVER_ERROR, OVERLOAD, CONTEXT, UNKNOWN_MODEL, REFUSED)
CONTENT_FILTER = "incomplete-content-filter"

each_fault = pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
