from functools import partial

import pytest
from node import Node


@pytest.fixture(scope="session")
def program():
    with Node("openai-agents-js", "client.mjs") as node:
        yield node


@pytest.fixture(params=["chat", "responses"])
def api(request):
    """The API of the test's model."""
    return request.param


@pytest.fixture
def sdk(program, proxy):
    """Calls a function of client.mjs, whose models use the program under test."""
    return partial(program.call, url=proxy.base_url)
