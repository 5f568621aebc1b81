import openai
import pytest
from harness import KEY


@pytest.fixture
def client(proxy):
    """openai-python as its users set it up: its own retries stay on."""
    with openai.OpenAI(base_url=proxy.base_url, api_key=KEY, timeout=60) as client:
        yield client


@pytest.fixture
def impatient(proxy):
    """The same without retries, for faults that a retry would repeat."""
    with openai.OpenAI(base_url=proxy.base_url, api_key=KEY, timeout=60, max_retries=0) as client:
        yield client
