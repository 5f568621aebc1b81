import os
import sys

# pytest takes this directory for the package of that name.
sys.modules.pop("litellm", None)
# Its list of prices is fetched when it is imported; this one comes with it.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm  # noqa: E402
import pytest  # noqa: E402
from harness import KEY  # noqa: E402

litellm.suppress_debug_info = True


def pytest_collection_modifyitems(items):
    """Warnings of LiteLLM's own code are not ours to fail on."""
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("ignore"))


@pytest.fixture
def here(proxy):
    """LiteLLM's way to us: an address without /v1."""
    return {"api_base": proxy.url, "api_key": KEY, "timeout": 60}
