import pytest
from harness import KEY, MODEL
from node import Node


@pytest.fixture(scope="session")
def langchain():
    with Node("langchain-js", "calls.mjs", LANGSMITH_TRACING="false") as node:
        yield node


@pytest.fixture
def chat(proxy):
    """Returns the options that users pass to ChatOpenAI, with a test's additional ones."""

    def make(responses=False, base_url=proxy.base_url, **more):
        address = {"configuration": {"baseURL": base_url}, "apiKey": KEY}
        return {"model": MODEL, "useResponsesApi": responses, "maxRetries": 0, "timeout": 60_000, **address, **more}

    return make
