// The JavaScript side of ../node.py: answers each call, one line of JSON, with what `functions` return or throw.

import { createInterface } from "node:readline";

export async function serve(functions) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { call, with: args } = JSON.parse(line);
    let answer;
    try {
      answer = { value: (await functions[call](args)) ?? null };
    } catch (error) {
      answer = { thrown: described(error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
}

// Returns an error as JSON with its own properties and its cause, without values that cannot be serialised.
export function described(error, depth = 0) {
  const properties = {};
  for (const key of Object.getOwnPropertyNames(error)) {
    if (["stack", "message", "name"].includes(key)) continue;
    const value = error[key];
    if (value instanceof Error) properties[key] = depth < 4 ? described(value, depth + 1) : String(value);
    else if (value instanceof Headers) properties[key] = Object.fromEntries(value);
    else if (isPlain(value)) properties[key] = value;
  }
  return { name: error.constructor?.name ?? error.name, message: String(error.message), properties };
}

function isPlain(value) {
  try {
    return JSON.stringify(value) !== undefined;
  } catch {
    return false;
  }
}
