"""Each fault as the OpenAI Agents SDK for JavaScript throws it, on models of both APIs, with and without streaming."""

import pytest
from exercised import exercises
from faults import CONTENT_FILTER, each_fault
from node import Thrown

pytestmark = exercises("failures")

RETRIES = 1


@each_fault
@pytest.mark.parametrize("call", ["run", "stream"])
def test_fault(program, failing, api, backend, fault, call):
    with pytest.raises(Thrown) as caught:
        program.call(call, url=failing.base_url, api=api, model=fault.model, input=f"{fault.words} Hello!")
    error = caught.value
    if call == "stream" and fault.is_late:
        # The SDK reports only the name of the Responses API's last event; the event itself is in the stream.
        assert error.name == {"chat": "APIError", "responses": "ModelBehaviorError"}[api]
        told = error.properties if api == "chat" else error.properties["failure"]
        assert told["code"] == fault.code and fault.says in (error.message if api == "chat" else told["message"])
        assert error.properties["text"] and not error.properties["seen"], "what came before the fault is the user's"
        assert len(backend.turns()) == 1
    else:
        assert error.name == fault.sdk_class
        assert fault.says in error.message
        assert (error.properties["code"], error.properties["status"]) == (fault.code, fault.status)
        assert len(backend.turns()) == fault.most_turns(RETRIES)


@pytest.mark.parametrize("call", ["run", "stream"])
def test_a_content_filter_is_no_empty_answer(sdk, api, call):
    with pytest.raises(Thrown) as caught:
        sdk(call, api=api, input=f"[sim:no-items][sim:{CONTENT_FILTER}] Hello!")
    named, says = {
        "chat": ("ModelRefusalError", "content filter"),
        "responses": ("ModelBehaviorError", "response.incomplete"),
    }[api]
    assert caught.value.name == named and says in caught.value.message
