import pytest
from harness import KEY, MODEL
from langchain_openai import ChatOpenAI


@pytest.fixture
def chat(proxy):
    """Creates the model as its users set it up, with a test's additional options."""

    def make(use_responses_api=False, **settings):
        settings = {"model": MODEL, "base_url": proxy.base_url, "api_key": KEY, "timeout": 60, **settings}
        return ChatOpenAI(use_responses_api=use_responses_api, **settings)

    return make
