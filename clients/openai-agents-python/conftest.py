import agents
import openai
import pytest
from harness import KEY, MODEL

agents.set_tracing_disabled(True)

MODELS = {"chat": agents.OpenAIChatCompletionsModel, "responses": agents.OpenAIResponsesModel}


@pytest.fixture(params=MODELS)
def api(request):
    """The API of the test's model."""
    return request.param


@pytest.fixture
def model(api, proxy):
    """The model of the test's agents."""
    return over(api, proxy)


@pytest.fixture
def failing_model(api, failing, fault):
    """The same with a failing program."""
    return over(api, failing, fault.model)


def over(api, proxy, model=MODEL):
    # Each run has its own event loop, and a client's connections belong to one.
    return MODELS[api](model, openai.AsyncOpenAI(base_url=proxy.base_url, api_key=KEY, max_retries=1))
