import openai
import pytest
from harness import KEY, MODEL
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider


@pytest.fixture(params=[OpenAIChatModel, OpenAIResponsesModel], ids=["chat", "responses"])
def api(request):
    """The class of model, by its API."""
    return request.param


@pytest.fixture
def model(api, proxy):
    return api(MODEL, provider=OpenAIProvider(base_url=proxy.base_url, api_key=KEY))


@pytest.fixture
def failed(api, failing, fault):
    """The model of a fault, with one retry by the SDK."""
    client = openai.AsyncOpenAI(base_url=failing.base_url, api_key=KEY, max_retries=1)
    return api(fault.model, provider=OpenAIProvider(openai_client=client))
