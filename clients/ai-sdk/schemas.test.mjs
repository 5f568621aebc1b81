// Everything that the translation writes for its fixtures, read by the Vercel AI SDK, whose zod schemas reject unknown values.
// Only the transport is replaced: `fetch` returns a fixture.

import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { createOpenResponses } from "@ai-sdk/open-responses";
import { generateText, streamText } from "ai";

const fixtures = new URL("../../crates/codex-translate/tests/fixtures/", import.meta.url);
const cases = readdirSync(fixtures).sort();

const read = (name, file) => {
  const path = new URL(`${name}/${file}`, fixtures);
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
};

// Returns the options of a provider whose backend answers with `body`.
const answering = (body, type) => ({
  name: "codex-proxy",
  baseURL: "http://127.0.0.1/v1",
  url: "http://127.0.0.1/v1/responses",
  apiKey: "key",
  fetch: async () => new Response(body, { headers: { "content-type": type } }),
});

const tools = {}; // The fixtures call tools that are not run here.
const ask = { prompt: "Hello!", maxRetries: 0, tools };

// Returns the parts of a stream as the SDK reads them.
async function parts(model) {
  const read = [];
  for await (const part of streamText({ model, ...ask, onError: () => {} }).stream) read.push(part);
  return read;
}

const isRefusal = ({ output }) => output.some(({ content }) => content?.some(({ type }) => type === "refusal"));

const isOfSchemas = (error) => /TypeValidation|JSONParse|InvalidResponseData/.test(error?.name ?? "");

function check(read, fails) {
  const errors = read.filter((part) => part.type === "error").map((part) => part.error);
  assert.deepEqual(errors.filter(isOfSchemas), [], "the schemas take every event");
  assert.equal(errors.length > 0, fails, `errors: ${JSON.stringify(errors)}`);
}

const EVENTS = "text/event-stream";
const JSON_BODY = "application/json";

for (const name of cases) {
  const [chunks, completion] = [read(name, "chunks.sse"), read(name, "completion.json")];
  const fails = ["error.json", "stream_error.json"].some((file) => read(name, file) !== undefined);
  if (chunks !== undefined && chunks !== "") {
    test(`${name}: chunks, by @ai-sdk/openai`, async () => {
      check(await parts(createOpenAI(answering(chunks, EVENTS)).chat("gpt-5.1")), fails);
    });
    test(`${name}: chunks, by @ai-sdk/openai-compatible`, async () => {
      check(await parts(createOpenAICompatible(answering(chunks, EVENTS))("gpt-5.1")), fails);
    });
  }
  if (completion !== undefined) {
    test(`${name}: completion, by both`, async () => {
      await generateText({ model: createOpenAI(answering(completion, JSON_BODY)).chat("gpt-5.1"), ...ask });
      await generateText({ model: createOpenAICompatible(answering(completion, JSON_BODY))("gpt-5.1"), ...ask });
    });
  }
  const [events, response] = [read(name, "responses.sse"), read(name, "response.json")];
  if (events !== undefined && events !== "") {
    for (const create of [createOpenAI, createOpenResponses]) {
      test(`${name}: events, by ${create.name}`, async () => {
        const read = await parts(create(answering(events, EVENTS))("gpt-5.1"));
        assert.deepEqual(read.filter((part) => part.type === "error" && isOfSchemas(part.error)), []);
      });
    }
  }
  if (response !== undefined) {
    test(`${name}: response, by both`, async () => {
      await generateText({ model: createOpenAI(answering(response, JSON_BODY))("gpt-5.1"), ...ask });
      // Open Responses' reader mistakes a refusal for text and fails, which is its own bug.
      const reading = generateText({ model: createOpenResponses(answering(response, JSON_BODY))("gpt-5.1"), ...ask });
      await (isRefusal(JSON.parse(response)) ? assert.rejects(reading, TypeError) : reading);
    });
  }
}

test("there are fixtures", () => assert.ok(cases.length >= 60));
