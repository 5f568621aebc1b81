"""The program as set up on the pages: with the well-known key, and with a reader's own key for requests from the internet."""

import pytest
from harness import KEY
from replay.settings import exported
from snippets import Page

OWN_KEY = "4f1d0c6b2a9e8d7f4f1d0c6b2a9e8d7f"


@pytest.fixture(scope="session")
def settings():
    origins = exported(Page("cursor").block("bash", "serve"))["CODEX_PROXY_CORS_ORIGINS"]
    return {"CODEX_PROXY_API_KEY": f"{KEY}\n{OWN_KEY}", "CODEX_PROXY_CORS_ORIGINS": origins}


@pytest.fixture(scope="session")
def own_key():
    return OWN_KEY
