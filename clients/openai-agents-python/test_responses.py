"""Features of the OpenAI Agents SDK for Python that only the Responses API has."""

import asyncio

import agents
import openai
import pytest
from agents import Agent, OpenAIResponsesCompactionSession, Runner, SQLiteSession, function_tool
from exercised import exercises
from harness import KEY, MODEL

pytestmark = exercises("responses", "turns")


@pytest.fixture
def client(proxy):
    return openai.AsyncOpenAI(base_url=proxy.base_url, api_key=KEY)


@pytest.fixture
def agent(client):
    return Agent("Friend", model=agents.OpenAIResponsesModel(MODEL, client))


def texts(turn):
    return [part["text"] for item in turn["body"]["input"] if item["type"] == "message" for part in item["content"]]


def test_a_run_that_goes_on_from_a_response(agent, backend):
    first = Runner.run_sync(agent, "My name is Ada.")
    second = Runner.run_sync(agent, "Who am I?", previous_response_id=first.last_response_id)
    assert "Who am I?" in second.final_output
    assert texts(backend.turns()[-1]) == ["My name is Ada.", first.final_output, "Who am I?"]


def kinds(turn):
    return [item["type"] for item in turn["body"]["input"]]


@function_tool
def get_weather(location: str) -> str:
    """The weather at a place."""
    return f"18 °C at {location}"


@exercises("tools")
@pytest.mark.parametrize("is_streamed", [False, True])
def test_tools_and_a_hand_off_by_the_ids_of_responses(client, backend, is_streamed):
    """Each turn sends only what is new, and the id of the turn before."""
    model = agents.OpenAIResponsesModel(MODEL, client)
    weather = Agent("Weather", model=model, tools=[get_weather])
    desk = Agent("Desk", model=model, handoffs=[weather])

    async def run(agent, prompt, **more):
        if not is_streamed:
            return await Runner.run(agent, prompt, auto_previous_response_id=True, **more)
        result = Runner.run_streamed(agent, prompt, auto_previous_response_id=True, **more)
        async for _ in result.stream_events():
            pass
        return result

    async def converse():
        first = await run(desk, "[sim:tool=transfer_to_weather] The weather in Paris?")
        second = await run(first.last_agent, "[sim:tool=get_weather] And in Oslo?", previous_response_id=first.last_response_id)
        return first, second

    first, second = asyncio.run(converse())
    assert first.last_agent is weather and "18 °C" in second.final_output
    # The proxy adds the reasoning, which it stores.
    called = ["message", "reasoning", "function_call", "function_call_output"]
    assert kinds(backend.turns()[-1]) == [*called, "reasoning", "message", *called]


# By the id of the last response, which the proxy stores, or by all items of the session.
@pytest.mark.parametrize("mode", ["previous_response_id", "input"])
def test_a_session_that_is_compacted(agent, client, backend, mode):
    session = OpenAIResponsesCompactionSession(
        "ada", SQLiteSession("ada"), client=client, model=MODEL, compaction_mode=mode,
        should_trigger_compaction=lambda _: True,
    )

    async def run():
        await Runner.run(agent, "My name is Ada.", session=session)
        kept = await session.get_items()
        return kept, await Runner.run(agent, "Who am I?", session=session)

    kept, second = asyncio.run(run())
    assert kept[-1]["type"] == "compaction" and "Who am I?" in second.final_output
    first, compaction, next_turn, _ = backend.turns()
    assert kinds(compaction)[-1] == "compaction_trigger" and texts(compaction)[0] == "My name is Ada."
    assert compaction["body"]["stream"] and not compaction["body"]["store"]
    assert next_turn["body"]["input"][0]["encrypted_content"] == kept[-1]["encrypted_content"]
    assert kinds(next_turn) == ["compaction", "message"]


@exercises("websocket", "stream")
def test_over_a_websocket(client, backend):
    async def run():
        model = agents.OpenAIResponsesWSModel(MODEL, client)
        agent = Agent("Friend", model=model)
        first = await Runner.run(agent, "My name is Ada.")
        second = await Runner.run(agent, "Who am I?", previous_response_id=first.last_response_id)
        await model.close()
        return first, second

    first, second = asyncio.run(run())
    assert "Ada" in first.final_output and "Who am I?" in second.final_output
    assert texts(backend.turns()[-1]) == ["My name is Ada.", first.final_output, "Who am I?"]
