from functools import partial

import pytest
from exercised import exercises
from node import Node

# The AI SDK's providers, with their APIs and their rows in client.json.
PROVIDERS = {
    "responses": ("responses", "AI SDK, `@ai-sdk/openai`"),
    "chat": ("chat", "AI SDK, `@ai-sdk/openai` with `.chat`"),
    "compatible": ("chat", "AI SDK, `@ai-sdk/openai-compatible`"),
    "open-responses": ("responses", "AI SDK, `@ai-sdk/open-responses`"),
}


def pytest_generate_tests(metafunc):
    """Runs a test that uses `provider` with each of them, and records for each what the test exercises."""
    if "provider" in metafunc.fixturenames:
        words = [word for mark in metafunc.definition.iter_markers("exercises") for word in mark.args]
        marked = [
            pytest.param(name, marks=exercises(api, *words, client=client)) for name, (api, client) in PROVIDERS.items()
        ]
        metafunc.parametrize("provider", marked)


@pytest.fixture(scope="session")
def program():
    with Node("ai-sdk", "client.mjs") as node:
        yield node


@pytest.fixture
def sdk(program, proxy):
    """Calls a function of client.mjs, which sends requests to the program under test."""
    return partial(program.call, url=proxy.base_url)
