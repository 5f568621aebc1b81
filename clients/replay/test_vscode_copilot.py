"""VS Code Copilot Chat with your own models: the Responses API; each turn sends only what is new."""

import json

import pytest
from exercised import exercises
from replay import settings
from replay.exchange import Failed, request, response_streamed

NAME = "VS Code Copilot Chat"


def ask(proxy, prompt):
    values = settings.vscode_copilot(proxy)
    assert values.pop("api") == "responses"
    return request("vscode-copilot", "agent", prompt=prompt, **values)


def completed(reply):
    """Returns the response in the last event. The next turn refers to its id if it starts like OpenAI's."""
    last = json.loads(reply.events()[-1])["response"]
    assert last["id"].startswith("resp_")
    return last


@exercises("responses", "stream", "tools", "turns", "reasoning", "usage", client=NAME)
def test_a_tools_output_comes_alone(proxy, backend):
    first = ask(proxy, "[sim:reasoning][sim:tool=read_file] Explain it.")
    reply = first.send()
    (call,) = response_streamed(reply).calls
    assert json.loads(call["arguments"])["filePath"]
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "fn main() {}"}
    first.body |= {"previous_response_id": completed(reply)["id"], "input": [output]}
    seen = response_streamed(first.send())
    assert "fn main() {}" in seen.text and seen.usage["total_tokens"] > 0
    sent = backend.turns()[1]["body"]["input"]
    assert [item["call_id"] for item in sent if "call_id" in item] == [call["call_id"]] * 2
    assert "Explain it." in json.dumps(sent), "the whole conversation reached the backend"


@exercises("failures", client=NAME)
def test_a_response_that_is_gone_is_told_so_that_all_is_sent_again(proxy, backend):
    first = ask(proxy, "Hello!")
    first.body["previous_response_id"] = "resp_gone"
    with pytest.raises(Failed) as caught:
        response_streamed(first.send())
    assert (caught.value.status, caught.value.code) == (400, "previous_response_not_found")
    assert backend.turns() == []
