import os
import sys

# pytest mistakes this directory for the package of the same name.
sys.modules.pop("litellm", None)
# Uses the bundled price list instead of fetching one on import.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm  # noqa: E402
import pytest  # noqa: E402
from harness import KEY  # noqa: E402

litellm.suppress_debug_info = True


def pytest_collection_modifyitems(items):
    """Ignores warnings in LiteLLM's own code."""
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("ignore"))


@pytest.fixture
def here(proxy):
    """The URL for LiteLLM, without /v1."""
    return {"api_base": proxy.url, "api_key": KEY, "timeout": 60}
