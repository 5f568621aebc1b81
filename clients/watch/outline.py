"""What is compared of a request: names, order, shapes and the values of the protocol, never content.

The recordings in clients/codex-cli/recorded/ consist of this, so they hold no text of OpenAI's, no tokens, ids or times.
"""

import json
import re

# Members with words of the protocol for values. The text of all others is content.
WORDS = {
    "client_id", "client_version", "code_challenge_method", "codex_cli_simplified_flow", "content_item_kinds", "context",
    "effort", "execution",
    "external_web_access", "format", "generate", "grant_type", "id_token_add_organizations", "include", "mode", "model", "name",
    "originator", "output_format", "phase", "quality", "reasoning_effort", "redirect_uri", "refresh_reason", "request_kind",
    "requested_token", "response_type", "role", "scope", "search_content_types", "size", "subject_token_type",
    "syntax", "thread_source", "token_type_hint", "tool_choice", "turn_trigger", "type", "verbosity",
    "ws_request_header_x_openai_internal_codex_responses_lite", "x-codex-window-id",
}
SCHEMAS = {"parameters", "output_schema"}
SECRET_HEADERS = {"cookie": "<cookies>", "content-length": "<number>", "sec-websocket-key": "<key>", "host": "<host>"}

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
VARYING = (
    (UUID, r"<uuid\1>"),
    (re.compile(r"Bearer \S+"), "Bearer <token>"),
    (re.compile(r"\b(resp|msg|rs|fc|ctc|cmp|call)_\w{16,}"), r"\1_<id>"),
    # The system and its version.
    (re.compile(r"\((\w+ )+[\d.]+; \w+\)"), "(<system>)"),
    (re.compile(r"(?<![\w.])\d+\.\d+\.\d+(-[\w.]+)?(?=[ );]|$)"), "<version>"),
    (re.compile(r"//(localhost|127\.0\.0\.1):\d+"), r"//\1:<port>"),
)


# Calls of a start: by then the client may or may not know by which name it is used.
EARLY = {"accounts-check", "exec-models", "models", "refresh", "refresh-after-401", "reset-credits", "usage", "user-settings"}
NAMES = r"codex_cli_rs|codex-tui|codex_exec"


def of_call(name, made):
    """Returns the outline of a call: made of its request, or as it is."""
    found = made if isinstance(made, dict) else of_request(made)
    if name in EARLY:
        tail = re.compile(rf"^({NAMES})/(.*?)( \(({NAMES}); <version>\))?$")
        for pair in found["headers"]:
            if pair[0].lower() == "user-agent":
                pair[1] = tail.sub(r"<name>/\2[ (<name>; <version>)]", pair[1])
            if pair[0] == "originator":
                pair[1] = re.sub(NAMES, "<name>", pair[1])
    # As it is read from a recording.
    return json.loads(json.dumps(found))


def of_request(request):
    """Returns what is compared of a request, or of one message of a WebSocket."""
    made = {"request": f"{request.method} {request.path}", "version": request.version}
    if request.query:
        made["query"] = members(request.query)
    if request.method != "FRAME":
        made["headers"] = [[name, header(name, value)] for name, value in request.headers]
    if request.raw.startswith(b"\x28\xb5\x2f\xfd"):
        # The frame's descriptor and the size of its window (RFC 8878, section 3.1.1.1).
        made["zstd"] = request.raw[4:6].hex(" ")
    if (body := request.body) is not None:
        made["body"] = members(body) if isinstance(body, list) else value(body)
    return made


def members(pairs):
    """Returns fields of a form or a query, in their order."""
    return {name: value(text, name) for name, text in pairs}


def header(name, text):
    if name.lower() == "x-codex-turn-metadata":
        return value(text)
    return varying(SECRET_HEADERS.get(name.lower(), text))


def value(content, key=""):
    if isinstance(content, dict):
        # A map without an order of its own.
        pairs = sorted(content.items()) if key == "client_metadata" else content.items()
        return "<schema>" if key in SCHEMAS else {name: value(inner, name) for name, inner in pairs}
    if isinstance(content, list):
        return [value(inner, key) for inner in content]
    if content is None or isinstance(content, bool):
        return content
    if isinstance(content, int | float):
        return "<number>"
    if content.startswith("{"):
        return {"JSON text": value(json.loads(content), key)}
    masked = varying(content)
    return masked if key in WORDS or re.fullmatch(r"(\w+_)?<\w+>(:\d+)?", masked) else "<text>"


def varying(text):
    for pattern, replacement in VARYING:
        text = pattern.sub(replacement, text)
    return text


# ---- comparing


def facts(outline):
    """Returns the outline as one value for each path. Names of members and headers, in order, are one value, too: a tuple."""
    found = {}
    for name, part in outline.items():
        if name == "headers":
            found["headers"] = tuple(header for header, _ in part)
            for header, content in part:
                found |= flat(f"header {header.lower()}", content)
        else:
            found |= flat(name, part)
    return found


def flat(path, part):
    if isinstance(part, dict):
        found = {path: tuple(part)}
        for name, inner in part.items():
            found |= flat(f"{path}.{name}", inner)
        return found
    if isinstance(part, list) and any(isinstance(inner, dict) for inner in part):
        found = {}
        for index, inner in enumerate(part):
            found |= flat(f"{path}[{index}]", inner)
        return found
    return {path: part}
