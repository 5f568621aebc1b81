from functools import partial

import pytest
from node import Node


@pytest.fixture(scope="session")
def program():
    with Node("openai-node", "client.mjs") as node:
        yield node


@pytest.fixture
def sdk(program, proxy):
    """Calls a function of client.mjs, whose SDK is set up as its users do."""
    return partial(program.call, sdk={"baseURL": proxy.base_url})
