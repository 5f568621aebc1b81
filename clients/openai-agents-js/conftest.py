from functools import partial

import pytest
from node import Node


@pytest.fixture(scope="session")
def program():
    with Node("openai-agents-js", "client.mjs") as node:
        yield node


@pytest.fixture(params=["chat", "responses"])
def api(request):
    """Which API the model of the test uses."""
    return request.param


@pytest.fixture
def sdk(program, proxy):
    """Calls a function of client.mjs; the program under test is what its models ask."""
    return partial(program.call, url=proxy.base_url)
