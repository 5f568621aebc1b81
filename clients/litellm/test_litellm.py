"""LiteLLM as its users set it up: `openai/<model>`, and an address without /v1."""

import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
import pytest
from harness import KEY, MODEL, WEATHER, ask


@pytest.fixture
def here(proxy):
    return {"api_base": proxy.url, "api_key": KEY, "timeout": 60}


def chat(scenario="", text="Hello!", **more):
    return {**ask(scenario, text, **more), "model": f"openai/{MODEL}"}


def test_completion(here):
    reply = litellm.completion(**chat(text="What is new?"), **here)
    assert "What is new?" in reply.choices[0].message.content and reply.choices[0].finish_reason == "stop"
    assert reply.usage.total_tokens > 0


def test_stream(here):
    chunks = list(litellm.completion(**chat(text="Tell me."), stream=True, **here))
    assert "Tell me." in "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_tools(here):
    reply = litellm.completion(**chat("tool", tools=[WEATHER]), **here)
    (call,) = reply.choices[0].message.tool_calls
    assert call.function.name == "get_weather" and reply.choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("model", [MODEL, "gpt-5.1-codex-max"])
def test_responses(here, model):
    reply = litellm.responses(model=f"openai/{model}", input="What is new?", max_output_tokens=1000, **here)
    text = "".join(part.text for item in reply.output if item.type == "message" for part in item.content)
    assert "What is new?" in text


def test_responses_stream(here):
    events = list(litellm.responses(model=f"openai/{MODEL}", input="Tell me.", stream=True, **here))
    assert events[-1].type == "response.completed"


@pytest.mark.parametrize(
    "scenario, error",
    [
        ("429-usage", litellm.RateLimitError),
        # ContextWindowExceededError is one of these; which message makes it one varies with LiteLLM's versions.
        ("failed=context_length_exceeded", litellm.BadRequestError),
        ("401", litellm.AuthenticationError),
    ],
)
def test_errors(here, scenario, error):
    with pytest.raises(error):
        litellm.completion(**chat(scenario), num_retries=0, **here)
