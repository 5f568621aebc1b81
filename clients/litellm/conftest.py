import pytest


def pytest_collection_modifyitems(items):
    """Warnings of LiteLLM's own code are not ours to fail on."""
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("ignore"))
