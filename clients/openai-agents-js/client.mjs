// Agents of the OpenAI Agents SDK as its users write them. The tests next to this file supply the prompts.

import {
  Agent, MemorySession, OpenAIChatCompletionsModel, OpenAIResponsesCompactionSession, OpenAIResponsesModel, OpenAIResponsesWSModel,
  run, setTracingDisabled, tool,
} from "@openai/agents";
import OpenAI from "openai";
import { z } from "zod";
import { serve } from "../node-runtime/calls.mjs";

setTracingDisabled(true);

const models = { chat: OpenAIChatCompletionsModel, responses: OpenAIResponsesModel, websocket: OpenAIResponsesWSModel };
const sdk = (url, headers) => new OpenAI({ baseURL: url, apiKey: "codex-proxy", maxRetries: 1, defaultHeaders: headers });

const tools = [
  tool({
    name: "get_weather",
    description: "The weather at a place",
    parameters: z.object({ location: z.string() }),
    execute: ({ location }) => `18 °C at ${location}`,
  }),
  tool({
    name: "get_time",
    description: "The time in a zone",
    parameters: z.object({ zone: z.string() }),
    execute: ({ zone }) => `noon in ${zone}`,
  }),
];
const Meeting = z.object({ name: z.string(), attendees: z.array(z.string()), seats: z.int() });

// Returns an agent on a model of one API; `parts` names its extras, which JSON cannot carry.
function agent({ url, api, headers, model = "gpt-5.1", parts = [], ...more }) {
  const at = new models[api](sdk(url, headers), model);
  return new Agent({
    name: "Agent",
    model: at,
    ...(parts.includes("tools") && { tools }),
    ...(parts.includes("output") && { outputType: Meeting }),
    ...(parts.includes("handoff") && { handoffs: [new Agent({ name: "Weather", model: at, instructions: "You know the weather." })] }),
    ...more,
  });
}

const told = (result) => ({
  output: result.finalOutput,
  agent: result.lastAgent.name,
  items: result.newItems.map((item) => ({ type: item.type, raw: item.rawItem })),
  usage: result.runContext.usage,
});

await serve({
  run: async ({ input, ...args }) => told(await run(agent(args), input)),

  // Asks separate agents, each of which refers to the previous response instead of sending it.
  goOn: async ({ inputs, ...args }) => {
    const results = [];
    for (const input of inputs) {
      const asked = agent(args);
      results.push(await run(asked, input, { previousResponseId: results.at(-1)?.lastResponseId }));
      await asked.model.close?.();
    }
    return results.map(told);
  },

  stream: async ({ input, ...args }) => {
    const seen = [];
    let text = "";
    let failure;
    try {
      const result = await run(agent(args), input, { stream: true });
      for await (const event of result) {
        if (event.type === "run_item_stream_event") seen.push(event.name);
        else if (event.data?.type === "output_text_delta") text += event.data.delta;
        else if (event.data?.event?.type === "response.failed") failure = event.data.event.response.error;
      }
      await result.completed;
      return { text, seen, ...told(result) };
    } catch (error) {
      throw Object.assign(error, { text, seen, failure });
    }
  },

  // Asks several questions in one session; returns the last result and the kinds of items in the session.
  converse: async ({ inputs, isCompacted = false, ...args }) => {
    const session = isCompacted
      ? new OpenAIResponsesCompactionSession({
          client: sdk(args.url),
          model: "gpt-5.1",
          underlyingSession: new MemorySession(),
          shouldTriggerCompaction: () => true,
        })
      : new MemorySession();
    const results = [];
    const kept = [];
    for (const input of inputs) {
      results.push(told(await run(agent(args), input, { session })));
      kept.push((await session.getItems()).map((item) => item.type));
    }
    return { results, kept };
  },
});
