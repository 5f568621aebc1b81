"""Each fault as the user of each client sees it: an error instead of an answer, and never a normal finish."""

import pytest
from exercised import exercises
from faults import each_fault
from replay import settings
from replay.exchange import Failed, request, response, response_streamed, streamed, whole

CLIENTS = {
    "Continue, in an editor": ("continue", "chat", settings.continue_, streamed),
    "goose": ("goose", "session", settings.goose, streamed),
    "Home Assistant": ("home-assistant", "functions", settings.home_assistant, whole),
    "JetBrains AI Assistant": ("jetbrains", "chat", settings.jetbrains, streamed),
    "n8n": ("n8n", "responses", settings.n8n, lambda reply: response(reply.json())),
    "Open WebUI": ("open-webui", "chat", settings.open_webui, streamed),
    "Roo Code": ("roo", "chat", settings.roo, streamed),
    "VS Code Copilot Chat": ("vscode-copilot", "agent", settings.vscode_copilot, response_streamed),
    "Zed": ("zed", "chat", settings.zed, streamed),
}


def check(fault, failing, backend, sent, read):
    with pytest.raises(Failed) as caught:
        read(sent.send())
    error = caught.value
    is_late = fault.is_late and sent.body.get("stream", False)
    assert fault.says in error.message and error.code == fault.code
    assert error.status == (None if is_late else fault.status)
    assert len(backend.turns()) == (1 if is_late else fault.turns)


def each_client(test):
    marked = [pytest.param(*case, id=case[0], marks=exercises("failures", client=name)) for name, case in CLIENTS.items()]
    return pytest.mark.parametrize("client, name, chosen, read", marked)(test)


@each_client
@each_fault
def test_fault(fault, failing, backend, client, name, chosen, read):
    sent = request(client, name, **{**chosen(failing), "prompt": f"{fault.words} Hello!", "model": fault.model})
    check(fault, failing, backend, sent, read)


@exercises("failures", client="Cursor")
@each_fault
def test_fault_through_a_tunnel(fault, failing, backend, own_key):
    values = settings.cursor(failing, own_key) | {"prompt": f"{fault.words} Hello!", "model": fault.model}
    check(fault, failing, backend, request("cursor", "agent", **values), streamed)
