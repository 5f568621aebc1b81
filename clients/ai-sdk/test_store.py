"""What `@ai-sdk/openai` leaves to the server: it refers to items of earlier turns unless `store` is false."""

import json
import urllib.request

import pytest
from exercised import exercises
from harness import KEY, PATIENCE
from node import Thrown

pytestmark = exercises("responses", "tools", "turns", "reasoning", client="AI SDK, `@ai-sdk/openai`")

PROMPT = "[sim:tool=get_weather] The weather in Paris?"


def ask(sdk, **options):
    openai = {"reasoningSummary": "auto", **options}
    return sdk("generate", provider="responses", prompt=PROMPT, usesTools=True, providerOptions={"openai": openai})


def by_type(items):
    return {item.get("type", "message"): item for item in items}


def test_items_that_are_referred_to_reach_the_backend_whole(sdk, backend):
    reply = ask(sdk)
    assert "18 °C" in reply["text"]
    first, second = (step["body"] for step in reply["steps"])
    assert "store" not in first
    assert by_type(second["input"])["item_reference"]["id"]

    kinds = [item["type"] for item in backend.turns()[-1]["body"]["input"]]
    assert kinds == ["message", "reasoning", "function_call", "function_call_output"]
    reasoning = by_type(backend.turns()[-1]["body"]["input"])["reasoning"]
    assert reasoning["encrypted_content"], "the backend keeps nothing: it gets its own reasoning back"


def test_without_a_store_the_reasoning_is_given_back(sdk, backend):
    reply = ask(sdk, store=False)
    assert "18 °C" in reply["text"]
    first, second = (step["body"] for step in reply["steps"])
    assert first["store"] is False and first["include"] == ["reasoning.encrypted_content"]
    given = by_type(second["input"])["reasoning"]
    sent = by_type(backend.turns()[-1]["body"]["input"])["reasoning"]
    assert sent["encrypted_content"] == given["encrypted_content"] != ""


def test_a_response_that_is_gone_on_from(sdk, backend):
    first = ask(sdk)
    second = sdk(
        "generate", provider="responses", prompt="And then?",
        providerOptions={"openai": {"previousResponseId": first["id"]}},
    )
    assert "And then?" in second["text"]
    assert "Paris" in str(backend.turns()[-1]["body"]["input"])


def test_a_reference_to_what_is_not_stored_any_more_is_an_error(sdk, proxy, backend):
    question = {"role": "user", "content": "My name is Ada."}
    first = sdk("generate", provider="responses", messages=[question])
    conversation = [question, *first["messages"], {"role": "user", "content": "Who am I?"}]
    forget = urllib.request.Request(f"{proxy.base_url}/responses/{first['id']}", method="DELETE")
    forget.add_header("authorization", f"Bearer {KEY}")
    assert json.load(urllib.request.urlopen(forget, timeout=PATIENCE))["deleted"]
    with pytest.raises(Thrown, match="not found") as caught:
        sdk("generate", provider="responses", messages=conversation)
    assert caught.value.properties["statusCode"] == 404 and len(backend.turns()) == 1
