// LangChain's ChatOpenAI in JavaScript, called by the tests of this directory.

import { HumanMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { z } from "zod";
import { serve } from "../node-runtime/calls.mjs";

const getWeather = tool(async ({ location }) => `18 °C at ${location}`, {
  name: "get_weather",
  description: "The weather at a place",
  schema: z.object({ location: z.string() }),
});
const getTime = tool(async ({ zone }) => `18 o'clock in ${zone}`, {
  name: "get_time",
  description: "The time in a zone",
  schema: z.object({ zone: z.string() }),
});
const tools = { get_weather: getWeather, get_time: getTime };

// Returns the reply, or the sum of a stream's chunks, as added up by LangChain itself.
async function asked(model, messages, stream) {
  if (!stream) return model.invoke(messages);
  let total;
  try {
    for await (const chunk of await model.stream(messages)) total = total === undefined ? chunk : total.concat(chunk);
  } catch (error) {
    error.before = total?.text ?? "";
    throw error;
  }
  return total;
}

const told = ({ text, content, contentBlocks, usage_metadata, response_metadata }) => ({
  text, content, contentBlocks, usage: usage_metadata, metadata: response_metadata,
});

serve({
  async ask({ settings, content, stream = false }) {
    return told(await asked(new ChatOpenAI(settings), [new HumanMessage({ content })], stream));
  },

  // Sends each prompt in turn, with the whole conversation so far.
  async converse({ settings, prompts, stream }) {
    const model = new ChatOpenAI(settings);
    const messages = [];
    for (const prompt of prompts) {
      messages.push(new HumanMessage(prompt));
      messages.push(await asked(model, messages, stream));
    }
    return told(messages.at(-1));
  },

  // Sends a request, runs the called tools, and sends their results.
  async useTools({ settings, prompt, stream }) {
    const model = new ChatOpenAI(settings).bindTools(Object.values(tools));
    const messages = [new HumanMessage(prompt)];
    const reply = await asked(model, messages, stream);
    messages.push(reply);
    for (const call of reply.tool_calls) messages.push(await tools[call.name].invoke(call));
    return { calls: reply.tool_calls, ...told(await asked(model, messages, stream)) };
  },

  async structured({ settings, prompt, method }) {
    const event = z.object({ name: z.string(), seats: z.number().int() });
    return new ChatOpenAI(settings).withStructuredOutput(event, { name: "Event", method }).invoke(prompt);
  },
});
