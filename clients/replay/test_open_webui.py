"""Open WebUI: its server, its additional requests for each answer, and direct connections from a browser."""

import pytest
from exercised import exercises
from replay import settings
from replay.exchange import request, streamed, whole

NAME = "Open WebUI"


def ask(proxy, name, **values):
    return request("open-webui", name, **{**settings.open_webui(proxy), **values})


@exercises("models", client=NAME)
def test_the_list_of_models(proxy):
    models = ask(proxy, "models").send().json()["data"]
    assert "gpt-5.5" in [model["id"] for model in models]
    assert all(model["object"] == "model" and model["owned_by"] for model in models)


@exercises("chat", "stream", "images", "usage", "reasoning", client=NAME)
def test_an_answer(proxy, backend):
    seen = streamed(ask(proxy, "chat", prompt="[sim:reasoning] What is this?").send())
    assert "What is this?" in seen.text and seen.reasoning and "<think>" not in seen.text
    assert seen.usage["prompt_tokens"] > 0
    (turn,) = backend.turns()
    (user,) = [item for item in turn["body"]["input"] if item.get("role") == "user"]
    assert [part["type"] for part in user["content"]] == ["input_text", "input_image"]


@exercises("whole", client=NAME)
def test_a_title_is_made_by_a_small_model_and_has_no_thoughts_in_it(proxy, backend):
    values = settings.open_webui(proxy)
    seen = whole(ask(proxy, "title", prompt="[sim:reasoning=always] Hello!", model=values["task_model"]).send())
    assert seen.text and seen.finish == "stop" and "<think>" not in seen.text
    (turn,) = backend.turns()
    assert turn["body"]["model"] != values["task_model"] and turn["body"]["reasoning"]["effort"] == "low"
    assert "max_output_tokens" not in turn["body"]


@pytest.mark.parametrize("origin, status", [("http://localhost:3000", 204), ("https://chat.example.com", 403)])
def test_direct_connections_are_made_by_the_browser(proxy, origin, status):
    reply = ask(proxy, "preflight", origin=origin).send()
    assert reply.status == status
    if status == 204:
        assert reply.headers["access-control-allow-origin"] == origin
        assert "authorization" in reply.headers["access-control-allow-headers"]
    else:
        assert "CODEX_PROXY_CORS_ORIGINS" in reply.text
