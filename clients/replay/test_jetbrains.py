"""JetBrains AI Assistant: the models first, then chat."""

from exercised import exercises
from replay import settings
from replay.exchange import request, streamed

NAME = "JetBrains AI Assistant"


@exercises("models", client=NAME)
def test_a_server_is_taken_for_one_by_its_models(proxy):
    values = settings.jetbrains(proxy)
    listed = request("jetbrains", "models", **values).send().json()
    assert listed["object"] == "list" and values["model"] in [model["id"] for model in listed["data"]]


@exercises("chat", "stream", "turns", "usage", client=NAME)
def test_a_chat(proxy, backend):
    first = request("jetbrains", "chat", prompt="What does it do?", **settings.jetbrains(proxy))
    seen = streamed(first.send())
    assert "What does it do?" in seen.text and seen.usage["total_tokens"] > 0
    first.body["messages"] += [seen.message(), {"role": "user", "content": "And why?"}]
    assert "And why?" in streamed(first.send()).text
    roles = [item["role"] for item in backend.turns()[1]["body"]["input"] if item.get("role") in ("user", "assistant")]
    assert roles == ["user", "assistant", "user"]
