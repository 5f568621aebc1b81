"""Reads a reply as the specification says: event by event, each checked against the previous ones.

Quotations in comments are from the Open Responses specification, release 2026-04-24.
"""

import json

OPENING = ("response.created", "response.in_progress")
TERMINAL = ("response.completed", "response.incomplete", "response.failed")
STATES = ("in_progress", "completed", "incomplete")

# The members of every response. The specification also requires `completed_at`, `presence_penalty` and `frequency_penalty`;
# the backend sends them only in its last event, and the proxy does not invent them.
RESPONSE = """
    id object created_at status incomplete_details model previous_response_id instructions output error tools tool_choice truncation
    parallel_tool_calls text top_p top_logprobs temperature reasoning usage max_output_tokens max_tool_calls store background
    service_tier metadata safety_identifier prompt_cache_key
""".split()
AT_THE_END = ["completed_at", "presence_penalty", "frequency_penalty"]
# The members of each item, in addition to its type. Other items are the backend's own, such as `web_search_call`. The
# specification wants their names to start with the provider's, but clients know them by the names in OpenAI's API.
ITEMS = {
    "message": ["id", "status", "role", "content"],
    "function_call": ["id", "status", "call_id", "name", "arguments"],
    "reasoning": ["id", "summary"],
    "custom_tool_call": ["id", "status", "call_id", "name", "input"],
}
PARTS = {"output_text": ["text", "annotations"], "refusal": ["refusal"], "summary_text": ["text"], "reasoning_text": ["text"]}
# What is streamed in deltas: the event's name without its suffix, the key of the part's index, and the key of the whole.
TEXTS = {
    "response.output_text": ("content_index", "text"),
    "response.refusal": ("content_index", "refusal"),
    "response.reasoning_text": ("content_index", "text"),
    "response.reasoning_summary_text": ("summary_index", "text"),
    "response.function_call_arguments": (None, "arguments"),
    "response.custom_tool_call_input": (None, "input"),
}
PARTS_OF = {"response.content_part": "content_index", "response.reasoning_summary_part": "summary_index"}


def check_response(response):
    """A response object, in any of its states."""
    assert set(RESPONSE) <= set(response), set(RESPONSE) - set(response)
    assert response["object"] == "response" and isinstance(response["created_at"], int)
    assert response["text"]["format"]["type"] in ("text", "json_object", "json_schema")
    ended = response["status"] != "in_progress"
    if response["status"] in ("completed", "incomplete"):
        assert set(AT_THE_END) <= set(response), set(AT_THE_END) - set(response)
        usage = response["usage"]
        assert usage["input_tokens_details"]["cached_tokens"] >= 0
        assert usage["output_tokens_details"]["reasoning_tokens"] >= 0
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert (response["error"] is not None) == (response["status"] == "failed")
    assert (response["incomplete_details"] is not None) == (response["status"] == "incomplete")
    for place, item in enumerate(response["output"]):
        check_item(item)
        if item.get("status") == "incomplete":
            # "it MUST be the last item emitted, and the containing response also MUST be in an `incomplete` state".
            assert place == len(response["output"]) - 1 and response["status"] == "incomplete"
        assert not ended or item.get("status") != "in_progress", item
    return response


def check_item(item):
    assert set(ITEMS.get(item["type"], ["id"])) <= set(item), item
    assert item.get("status", "completed") in STATES
    for part in [*item.get("content", []), *item.get("summary", [])]:
        assert set(PARTS[part["type"]]) <= set(part), part


class Reader:
    """Reads the events of one response in order and assembles its output."""

    def __init__(self):
        self.events = []
        self.opening = list(OPENING)
        self.items = []
        self.texts = {}
        self.parts = {}
        self.response = None

    def take(self, event):
        kind = event["type"]
        assert self.response is None, f"{kind} after the terminal event"
        if not kind.startswith("response."):
            # The backend's own events, such as `codex.rate_limits`: named as the specification requires for extensions, and not numbered.
            return
        # "A monotonically increasing number [...] that allows clients to order events and detect gaps."
        assert event["sequence_number"] == len(self.events), event
        self.events.append(event)
        state, _, change = kind.rpartition(".")
        if kind in OPENING:
            assert kind == self.opening.pop(0) and not self.items
            assert check_response(event["response"])["status"] == "in_progress" and not event["response"]["output"]
        elif kind in TERMINAL:
            self.end(event)
        elif state == "response.output_item":
            self.item(event, change)
        elif state in PARTS_OF:
            self.part(event, PARTS_OF[state], change)
        elif state in TEXTS and change in ("delta", "done"):
            self.text(event, *TEXTS[state], change)
        elif "item_id" in event:
            # Another event about an open item, such as the steps of a search. All others are ignored: a client "MUST be able
            # to ignore it safely".
            self.open_item(event)

    def open_item(self, event):
        item = self.items[event["output_index"]]
        assert item["id"] == event["item_id"] and "done" not in item, event
        return item

    def item(self, event, change):
        place, item = event["output_index"], event["item"]
        check_item(item)
        assert not self.opening
        if change == "added":
            # "The first event MUST always be `response.output_item.added`", without gaps in the index.
            assert place == len(self.items) and item.get("status", "in_progress") == "in_progress"
            assert not item.get("content") and not item.get("arguments") and not item.get("input")
            self.items.append({"id": item["id"], "type": item["type"]})
            return
        opened = self.items[place]
        assert (item["id"], item["type"]) == (opened["id"], opened["type"]) and "done" not in opened
        assert item.get("status") in (None, "completed", "incomplete")
        opened["done"] = item
        self.compare(place, item)

    def compare(self, place, item):
        """Checks that the streamed parts of an item equal its final content."""
        for (of, key, index), text in self.texts.items():
            if of == place:
                lists = {"content_index": "content", "summary_index": "summary"}
                holder = item[lists[key]][index] if key else item
                assert text["whole"] == holder[text["name"]], (text, item)
        for (of, key, index), part in self.parts.items():
            assert of != place or part == item["content" if key == "content_index" else "summary"][index], item

    def part(self, event, key, change):
        self.open_item(event)
        name = (event["output_index"], key, event[key])
        assert set(PARTS[event["part"]["type"]]) <= set(event["part"])
        if change == "added":
            # "The first event in such cases MUST be `response.content_part.added`".
            assert name not in self.parts and name not in self.texts
            self.parts[name] = None
        else:
            assert self.parts[name] is None and self.texts[name]["whole"] is not None
            self.parts[name] = event["part"]

    def text(self, event, key, name, change):
        self.open_item(event)
        index = event[key] if key else None
        place = (event["output_index"], key, index)
        # The backend announces no part for raw reasoning, which is rare; its parts are in the item.
        assert not key or place in self.parts or event["type"].startswith("response.reasoning_text."), event
        text = self.texts.setdefault(place, {"pieces": "", "whole": None, "name": name})
        assert text["whole"] is None, "no updates after the end"
        if change == "delta":
            text["pieces"] += event["delta"]
        else:
            assert event[name] == text["pieces"], "the deltas make the text"
            text["whole"] = event[name]

    def end(self, event):
        self.response = check_response(event["response"])
        assert event["type"] == f"response.{self.response['status']}"
        assert all("done" in item for item in self.items) or self.response["status"] == "failed"
        if self.response["status"] != "failed":
            assert self.response["output"] == [item["done"] for item in self.items]
            assert self.events[0]["response"]["id"] == self.response["id"]


def read_stream(reply):
    """Reads a whole stream of server-sent events."""
    assert reply.status_code == 200, reply.text
    # "servers MUST return header `Content-Type: text/event-stream`"
    assert reply.headers["content-type"].partition(";")[0] == "text/event-stream"
    # "The terminal event MUST be the literal string `[DONE]`." We differ: OpenAI's own API sends none here, so clients that parse
    # every event as JSON rely on that, and none of the tested clients waits for it. The terminal event is the end.
    *frames, rest = reply.text.split("\n\n")
    assert rest == "" and "[DONE]" not in reply.text
    reader = Reader()
    for frame in frames:
        name, data = frame.split("\n")
        event = json.loads(data.removeprefix("data: "))
        # "The `event` field MUST match the `type` in the event body. Servers SHOULD NOT use `id`."
        assert name == f"event: {event['type']}"
        reader.take(event)
    assert reader.response is not None, "no terminal event"
    return reader
