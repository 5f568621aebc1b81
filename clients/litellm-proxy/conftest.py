import sys
from pathlib import Path

import openai
import pytest
from harness import Program, environment
from snippets import Page, at

KEY = "sk-" + "0123456789abcdef" * 4


class Server(Program):
    """`litellm` with the page's configuration, in front of the program `behind`."""

    def __init__(self, behind, directory):
        config = directory / "config.yaml"
        config.write_text(at(behind, Page("litellm").block("yaml")))
        command = [Path(sys.executable).with_name("litellm"), "--config", config, "--host", "127.0.0.1", "--port", "0"]
        super().__init__(*command, env=environment(LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_MASTER_KEY=KEY))
        self.base_url = f"{self.line(r'Uvicorn running on (http://[^ ]+)').group(1)}/v1"


@pytest.fixture(scope="session")
def server(running, tmp_path_factory):
    with Server(running, tmp_path_factory.mktemp("litellm")) as server:
        yield server


@pytest.fixture
def client(proxy, server):
    """The SDK as its users set it up."""
    with openai.OpenAI(base_url=server.base_url, api_key=KEY, timeout=60) as client:
        yield client


@pytest.fixture
def failed(failing, running, request, tmp_path):
    """The SDK with a failing program; without retries, as the page says."""
    if failing is not running:
        with Server(failing, tmp_path) as server:
            yield openai.OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0)
    else:
        yield openai.OpenAI(base_url=request.getfixturevalue("server").base_url, api_key=KEY, max_retries=0)
