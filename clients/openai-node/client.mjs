// openai-node as its users call it. The tests next to this file supply the arguments and check the results.

import OpenAI, { AzureOpenAI } from "openai";
import { zodResponseFormat, zodResponsesFunction, zodTextFormat } from "openai/helpers/zod";
import { ResponsesWS } from "openai/resources/responses/ws";
import { z } from "zod";
import { serve } from "../node-runtime/calls.mjs";

const Event = z.object({ name: z.string(), attendees: z.array(z.string()), seats: z.int() });
const Weather = z.object({ location: z.string() });

const sdk = ({ azure, ...more }) =>
  azure ? new AzureOpenAI({ apiKey: "codex-proxy", maxRetries: 0, ...azure }) : new OpenAI({ apiKey: "codex-proxy", maxRetries: 1, ...more });

// Returns all that a stream yields; if it throws, the error carries what arrived before.
async function all(stream) {
  const received = [];
  try {
    for await (const event of await stream) received.push(event);
  } catch (error) {
    throw Object.assign(error, { received });
  }
  return received;
}

// The runner's tools; `ran` records their arguments.
const runnable = (ran) => [
  {
    type: "function",
    function: {
      name: "get_weather",
      parameters: { type: "object", properties: { location: { type: "string" } }, required: ["location"] },
      parse: JSON.parse,
      function: (args) => ran.push(["get_weather", args]) && "18 °C",
    },
  },
  {
    type: "function",
    function: {
      name: "get_time",
      parameters: { type: "object", properties: { zone: { type: "string" } }, required: ["zone"] },
      parse: JSON.parse,
      function: (args) => ran.push(["get_time", args]) && "noon",
    },
  },
];

async function outcome(runner, ran) {
  return { text: await runner.finalContent(), messages: runner.messages, usage: await runner.totalUsage(), ran };
}

await serve({
  models: async ({ sdk: settings }) => all(sdk(settings).models.list()),
  model: ({ sdk: settings, id }) => sdk(settings).models.retrieve(id),

  chat: ({ sdk: settings, body }) => sdk(settings).chat.completions.create(body),
  chatStream: ({ sdk: settings, body }) => all(sdk(settings).chat.completions.create({ ...body, stream: true })),
  chatHeaders: async ({ sdk: settings, body }) => {
    const { response } = await sdk(settings).chat.completions.create(body).withResponse();
    return Object.fromEntries(response.headers);
  },

  chatParse: async ({ sdk: settings, body }) => {
    const asked = { ...body, response_format: zodResponseFormat(Event, "event") };
    const reply = await sdk(settings).chat.completions.parse(asked);
    return Event.parse(reply.choices[0].message.parsed);
  },

  chatHelper: async ({ sdk: settings, body }) => {
    const seen = [];
    const stream = sdk(settings).chat.completions.stream({ ...body, response_format: zodResponseFormat(Event, "event") });
    for (const kind of ["content.delta", "content.done", "refusal.done", "end"]) stream.on(kind, () => seen.push(kind));
    const { choices } = await stream.finalChatCompletion();
    return { seen: [...new Set(seen)], parsed: Event.parse(choices[0].message.parsed), usage: await stream.totalUsage() };
  },

  runTools: async ({ sdk: settings, body }) => {
    const ran = [];
    return outcome(sdk(settings).chat.completions.runTools({ ...body, tools: runnable(ran) }), ran);
  },
  runToolsStream: async ({ sdk: settings, body }) => {
    const ran = [];
    return outcome(sdk(settings).chat.completions.runTools({ ...body, tools: runnable(ran), stream: true }), ran);
  },

  responses: ({ sdk: settings, body }) => sdk(settings).responses.create(body),
  responsesRetrieve: ({ sdk: settings, id, query }) => sdk(settings).responses.retrieve(id, query),
  responsesReplay: ({ sdk: settings, id, query }) =>
    all(sdk(settings).responses.retrieve(id, { ...query, stream: true })),
  responsesStream: ({ sdk: settings, body }) => all(sdk(settings).responses.create({ ...body, stream: true })),

  responsesParse: async ({ sdk: settings, body }) => {
    const reply = await sdk(settings).responses.parse({ ...body, text: { format: zodTextFormat(Event, "event") } });
    return Event.parse(reply.output_parsed);
  },
  responsesParseTool: async ({ sdk: settings, body }) => {
    const tool = zodResponsesFunction({ name: "get_weather", parameters: Weather });
    const reply = await sdk(settings).responses.parse({ ...body, tools: [tool] });
    const call = reply.output.find((item) => item.type === "function_call");
    return Weather.parse(call.parsed_arguments);
  },

  responsesHelper: async ({ sdk: settings, body }) => {
    const stream = sdk(settings).responses.stream(body);
    let text = "";
    stream.on("response.output_text.delta", ({ delta }) => (text += delta));
    const final = await stream.finalResponse();
    return { text, final };
  },

  // Sends several questions over one WebSocket, each referring to the previous response; returns the last event of each, and all text.
  socket: async ({ sdk: settings, body, inputs }) => {
    const socket = new ResponsesWS(sdk(settings));
    const answers = [];
    let text = "";
    const ask = () => {
      const previous = answers.at(-1)?.last.response.id;
      socket.send({ type: "response.create", ...body, input: inputs[answers.length], previous_response_id: previous });
    };
    try {
      for await (const { type, message, error } of socket.stream()) {
        if (type === "error") throw error;
        if (type === "open") ask();
        if (message?.type === "response.output_text.delta") text += message.delta;
        if (!/^response\.(completed|failed|incomplete)$/.test(message?.type)) continue;
        answers.push({ text, last: message });
        text = "";
        if (answers.length === inputs.length) break;
        ask();
      }
    } finally {
      socket.close();
    }
    return answers;
  },

  // Sends one request in each lane at once; returns all events.
  lanes: async ({ sdk: settings, body, inputs }) => {
    const socket = new ResponsesWS(sdk(settings));
    const events = [];
    try {
      for await (const { type, message, error } of socket.stream()) {
        if (type === "error") throw error;
        if (type === "open") {
          for (const [lane, input] of Object.entries(inputs)) {
            socket.send({ type: "response.create", stream_id: lane, ...body, input });
          }
        }
        if (message) events.push(message);
        const ended = events.filter((event) => event.type === "response.completed");
        if (ended.length === Object.keys(inputs).length) break;
      }
    } finally {
      socket.close();
    }
    return events;
  },

  // Steers a running response as soon as it has said something; returns all events up to the end of its successor.
  steer: async ({ sdk: settings, body, input }) => {
    const socket = new ResponsesWS(sdk(settings));
    const events = [];
    let id;
    try {
      for await (const { type, message, error } of socket.stream()) {
        if (type === "error") throw error;
        if (type === "open") socket.send({ type: "response.create", ...body });
        if (!message) continue;
        events.push(message);
        if (message.type === "response.output_text.delta" && !id) {
          id = events.find((event) => event.type === "response.created").response.id;
          socket.send({ type: "response.steer", previous_response_id: id, input });
        }
        if (message.type === "response.completed" && message.response.id !== id) break;
      }
    } finally {
      socket.close();
    }
    return events;
  },

  // The client ends the turn after the first chunk.
  leave: async ({ sdk: settings, body }) => {
    for await (const chunk of await sdk(settings).chat.completions.create({ ...body, stream: true })) return chunk;
  },
});
