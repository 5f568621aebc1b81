"""Continue in an editor: its list of models, a chat whose text it can lose, and completions, which the backend does not support."""

import pytest
from exercised import exercises
from replay import settings
from replay.exchange import Failed, request, streamed

NAME = "Continue, in an editor"


def insist(chunk):
    """Continue never shows text in a chunk that has usage."""
    if chunk.get("usage"):
        assert all(not choice["delta"].get("content") for choice in chunk["choices"]), "a text that Continue does not show"


def read(reply):
    return streamed(reply, insist)


def ask(proxy, name, **values):
    return request("continue", name, **settings.continue_(proxy), **values)


@exercises("models", client=NAME)
def test_the_list_of_models(proxy):
    # It sends the key in three places at once.
    models = request("continue", "models", **settings.continue_(proxy)).send().json()
    assert "gpt-5.5" in [model["id"] for model in models["data"]]


@exercises("chat", "stream", "usage", client=NAME)
def test_no_text_comes_with_usage(proxy, backend):
    seen = read(ask(proxy, "chat", prompt="What is new?").send())
    assert "What is new?" in seen.text and seen.usage["total_tokens"] > 0
    assert len(backend.turns()) == 1


@pytest.mark.parametrize("name", ["autocomplete", "fill-in-the-middle"])
@exercises("failures", client=NAME)
def test_completions_are_refused_with_the_reason(proxy, backend, name):
    with pytest.raises(Failed, match="does not complete plain text") as caught:
        ask(proxy, name, prompt="total = ").send().json()
    assert (caught.value.status, caught.value.code) == (404, "unknown_url") and backend.turns() == []
