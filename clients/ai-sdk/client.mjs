// The Vercel AI SDK as its users call it. The tests next to this file supply the arguments and check the results.

import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { createOpenResponses } from "@ai-sdk/open-responses";
import { generateObject, generateText, isStepCount, Output, streamText, tool } from "ai";
import { z } from "zod";
import { described, serve } from "../node-runtime/calls.mjs";

const event = z.object({ name: z.string(), attendees: z.array(z.string()), seats: z.int() });

const providers = {
  responses: (baseURL, apiKey) => createOpenAI({ baseURL, apiKey }),
  chat: (baseURL, apiKey) => createOpenAI({ baseURL, apiKey }).chat,
  compatible: (baseURL, apiKey) =>
    createOpenAICompatible({
      name: "codex-proxy",
      baseURL,
      apiKey,
      includeUsage: true,
      supportsStructuredOutputs: true,
      supportedUrls: () => ({ "image/*": [/^https?:/] }),
    }),
  "open-responses": (baseURL, apiKey) => createOpenResponses({ name: "codex-proxy", url: `${baseURL}/responses`, apiKey }),
};

const tools = {
  get_weather: tool({
    description: "The weather at a place",
    inputSchema: z.object({ location: z.string() }),
    execute: () => "18 °C",
  }),
  get_time: tool({ inputSchema: z.object({ zone: z.string() }), execute: () => "noon" }),
};

// The arguments of a call of the SDK; `more` comes from the test.
const asked = ({ url, provider, model = "gpt-5.1", key = "codex-proxy", usesTools = false, wantsObject = false, ...more }) => ({
  model: providers[provider](url, key)(model),
  maxRetries: 0,
  stopWhen: isStepCount(5),
  include: { requestBody: true },
  ...(usesTools && { tools }),
  ...(wantsObject && { output: Output.object({ schema: event, name: "event" }) }),
  ...more,
});

// The members of a result that tests check; those of a stream are promises.
async function told(result) {
  const steps = await result.steps;
  return {
    id: (await result.finalStep).response.id,
    text: await result.text,
    reasoning: await result.reasoningText,
    finish: await result.finishReason,
    usage: await result.usage,
    messages: await result.responseMessages,
    sources: await result.sources,
    steps: steps.map(({ toolCalls, toolResults, request }) => ({ toolCalls, toolResults, body: request.body })),
  };
}

async function streamed(args) {
  const parts = [];
  const result = streamText({ ...asked(args), onError: () => {} });
  for await (const part of result.stream) {
    parts.push(part.type === "error" ? { type: "error", error: described(part.error) } : part);
  }
  return { parts, result };
}

await serve({
  generate: async (args) => told(await generateText(asked(args))),
  stream: async (args) => {
    const { parts, result } = await streamed(args);
    return { parts, ...(await told(result)) };
  },
  // Only the parts: after an error there may be no result.
  parts: async (args) => (await streamed(args)).parts,

  output: async (args) => (await generateText(asked({ ...args, wantsObject: true }))).output,
  outputStream: async (args) => {
    const { partialOutputStream, output } = streamText(asked({ ...args, wantsObject: true }));
    const partial = [];
    for await (const object of partialOutputStream) partial.push(object);
    return { partial, output: await output };
  },
  object: async (args) => (await generateObject({ ...asked(args), schema: event, schemaName: "event" })).object,
});
