
"use strict";
// Text from outside, such as the name of a model or a client, is only ever set as text.

const POLL_MS = 3000;
const ASK_MS = 60000;
const SHOWN = 12;
const KEPT = "codex-proxy-key";
// The proxy may be mounted under a path, and the page's URL may lack the last slash.
const HOME = location.origin + location.pathname.replace(/\/*$/, "/");

const id = (name) => document.getElementById(name);
let key = sessionStorage.getItem(KEPT) || "";
let timer = 0;
let isPolling = false;
let askedAt = -ASK_MS;
let isExpanded = false;
let setupFor = "";
let chosen = 0;

function make(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// ---- requests

// A server around the proxy may have a login of its own, such as a cookie.
async function ask(path) {
  const headers = key ? { authorization: `Bearer ${key}` } : {};
  return fetch(HOME + path, { headers, cache: "no-store", credentials: "same-origin", signal: AbortSignal.timeout(20000) });
}

async function poll() {
  clearTimeout(timer);
  if (isPolling) return;
  isPolling = true;
  try {
    const reply = await ask("status.json");
    const body = await reply.json();
    if (reply.ok) show(body);
    else if (reply.status === 401) askForKey();
    else refuse(body.error.message);
  } catch (error) {
    // A key with characters that are invalid in a header cannot be the key.
    if (error instanceof TypeError && key && !/^[\x20-\x7e]*$/.test(key)) askForKey();
    else state("bad", "No answer; retrying");
  }
  isPolling = false;
  if (document.visibilityState === "visible" && id("key-form").hidden) timer = setTimeout(poll, POLL_MS);
}

// The proxy queries the backend at most once a minute, however many pages are open; the next poll shows the answer.
function askForUsage(status) {
  const age = status.quota.age_seconds;
  if (!status.login.is_usable || (age !== null && age < ASK_MS / 1000) || performance.now() - askedAt < ASK_MS) return;
  askedAt = performance.now();
  ask("v1/usage").then(poll, () => {});
}

function askForKey() {
  id("key-problem").textContent = key ? "Invalid key." : "";
  key = "";
  sessionStorage.removeItem(KEPT);
  reveal("key-form");
  state("", "Key required");
  id("key").focus();
}

function refuse(message) {
  id("refused-text").textContent = message;
  reveal("refused");
  state("bad", "Access denied");
}

function reveal(name) {
  for (const each of ["key-form", "refused", "content"]) id(each).hidden = each !== name;
}

function state(tone, text) {
  id("state").className = `state ${tone}`;
  if (id("state-text").textContent !== text) id("state-text").textContent = text;
}

// ---- rendering

function show(status) {
  reveal("content");
  id("version").textContent = status.version;
  const { login, models } = status;
  if (login.is_usable) state("good", "Ready");
  else state("bad", "Login needed");
  showLogin(login);
  showAccount(status);
  showPlan(status);
  showRequests(status);
  showModels(models);
  const model = models.data.length ? models.data[0].id : "gpt-5.5";
  if (setupFor !== `${model} ${status.needs_key}`) {
    setupFor = `${model} ${status.needs_key}`;
    showSetup(model, status);
  }
  askForUsage(status);
}

function showLogin(login) {
  id("login-needed").hidden = login.is_usable;
  if (login.is_usable || id("login-command").dataset.command === login.login_command + login.state) return;
  const why = {
    logged_out: "This proxy is not logged in to ChatGPT.",
    ended: "The login to ChatGPT has ended.",
    unreadable: "The stored login cannot be read.",
  };
  id("login-text").textContent =
    `${why[login.state] || "There is no usable login."} Run this command on the proxy's machine; no restart is needed.`;
  id("login-command").dataset.command = login.login_command + login.state;
  id("login-command").replaceChildren(snippet("Terminal", login.login_command));
}

function showAccount(status) {
  const { login } = status;
  const rows = [["Logged in as", login.email], ["Workspace", login.workspace], ["Plan", capital(status.quota.plan || login.plan)]];
  if (login.is_usable && login.expires_at) {
    rows.push(["Token", `until ${when(login.expires_at)}`], ["Refresh", login.is_renewable ? "automatic" : "not by codex-proxy"]);
  }
  if (login.problem) rows.push(["Problem", login.problem]);
  rows.push(["Uptime", span((Date.parse(status.now) - Date.parse(status.started_at)) / 1000)]);
  refill(id("account"), rows.filter(([, value]) => value), ([name, value]) => [
    make("dt", { textContent: name }),
    make("dd", { textContent: value }),
  ]);
}

function showPlan(status) {
  const { quota } = status;
  refill(id("windows"), quota.windows, (window, at) => {
    const used = Math.min(100, Math.max(0, window.used_percent));
    const tone = window.used_percent >= 90 ? " bad" : window.used_percent >= 75 ? " warn" : "";
    const fill = make("div", { className: `fill${tone}` });
    fill.style.width = `${used}%`;
    const name = windowName(window);
    const share = `${Math.round(window.used_percent)} % used`;
    const resets = window.resets_at
      ? `Resets in ${span(window.resets_in_seconds)} · ${when(window.resets_at)}`
      : "Starts with the next request";
    const track = { className: "track", role: "meter", "aria-label": name, "aria-valuetext": `${share}. ${resets}` };
    Object.assign(track, { "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(used) });
    return [
      make("div", { className: "window" },
        make("div", { className: "line" }, make("b", { textContent: name }), make("span", { textContent: share })),
        make("div", track, fill),
        make("p", { textContent: resets })),
    ];
  });
  const notes = [];
  if (quota.reached) notes.push(`Limit reached: ${quota.reached.replaceAll("_", " ")}.`);
  if (quota.credits && quota.credits.has_credits) {
    notes.push(`Credits: ${quota.credits.unlimited ? "unlimited" : quota.credits.balance || "some"}.`);
  }
  if (quota.age_seconds === null) {
    notes.push(status.login.is_usable ? "The backend has not reported the quota yet." : "Shown once logged in.");
  } else if (quota.age_seconds > 120) {
    notes.push(`As of ${span(quota.age_seconds)} ago.`);
  }
  setText(id("plan-note"), notes.join(" "));
}

function showRequests(status) {
  const { totals, live, recent } = status;
  setText(id("totals"),
    `${status.running} running · ${count(totals.turns)} turns · ${count(totals.input_tokens)} tokens in, ${count(totals.output_tokens)} out since the start`);
  const none = live.length + recent.length === 0;
  id("no-requests").hidden = !none;
  document.querySelector("table").classList.toggle("empty-table", none);
  refill(id("live"), live, (entry) => [row(entry, true)]);
  refill(id("recent"), isExpanded ? recent : recent.slice(0, SHOWN), (entry) => [row(entry, false)]);
  id("more").hidden = recent.length <= SHOWN;
  setText(id("more"), isExpanded ? "Show fewer" : `Show all ${recent.length}`);
}

function row(entry, isLive) {
  const cell = (kind, text, small) =>
    make("td", { className: kind }, text, small ? make("small", { textContent: small }) : null);
  const [tone, result, detail] = isLive ? ["running", "running", null] : outcome(entry);
  const tokens = entry.input_tokens === null ? "–" : `${count(entry.input_tokens)} / ${count(entry.output_tokens)}`;
  const parts = [
    entry.cached_tokens ? `${count(entry.cached_tokens)} cached` : null,
    entry.reasoning_tokens ? `${count(entry.reasoning_tokens)} reasoning` : null,
  ].filter(Boolean).join(", ");
  const first = entry.is_stream && entry.first_byte_ms !== null ? `first output after ${seconds(entry.first_byte_ms)}` : null;
  return make("tr", { title: entry.request_id },
    cell("time", clock(entry.started_at)),
    cell("model", entry.model || "–", [entry.endpoint, entry.effort, entry.is_stream ? "stream" : null].filter(Boolean).join(" · ")),
    cell("client", entry.client || "unknown"),
    make("td", { className: "result" }, make("span", { className: tone, textContent: result }),
      detail ? make("small", { textContent: detail }) : null),
    cell(entry.input_tokens === null ? "number tokens none" : "number tokens", tokens, parts),
    cell("number took", seconds(entry.total_ms), first));
}

function outcome(entry) {
  const notices = entry.notices ? `${entry.notices} ${entry.notices === 1 ? "notice" : "notices"}` : null;
  if (entry.finish === "client_gone") return ["warn-text", "client disconnected", notices];
  if (entry.finish === "error" || entry.finish === "panic") return ["bad-text", `${entry.status || ""} ${entry.finish}`, entry.error];
  return ["good-text", `${entry.status} ${entry.finish || "ok"}`, notices];
}

function showModels(models) {
  const told = { live: "From your account", disk: "From an earlier run", built_in: "Built in; your account's list is not available yet" };
  setText(id("models-note"), told[models.source] + (models.as_of && models.source !== "built_in" ? `, ${when(models.as_of)}` : ""));
  refill(id("models"), models.data, (model) => {
    const efforts = model.efforts.length > 1 ? `effort ${model.efforts[0]} to ${model.efforts[model.efforts.length - 1]}` : null;
    const context = model.context_window ? `${count(model.context_window)} tokens` : null;
    return [make("li", {}, make("code", { textContent: model.id }),
      make("p", { textContent: [context, efforts].filter(Boolean).join(" · ") }))];
  });
}

// Rebuilds the children only when they differ, which preserves the selection and the focus.
const shown = new WeakMap();
function refill(element, data, build) {
  const text = JSON.stringify(data);
  if (shown.get(element) === text) return;
  shown.set(element, text);
  element.replaceChildren(...data.flatMap(build));
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// ---- setting up clients

function clients(model, { needs_key: needsKey, key_setting: setting }) {
  const base = `${HOME}v1`;
  const shell = needsKey ? '"$CODEX_PROXY_API_KEY"' : "unused";
  const python = needsKey ? 'os.environ["CODEX_PROXY_API_KEY"]' : '"unused"';
  const node = needsKey ? "process.env.CODEX_PROXY_API_KEY" : '"unused"';
  const field = !needsKey ? "unused" : setting ? `the value of ${setting}` : "your API key";
  const importOs = needsKey ? "import os\n\n" : "";
  const bearer = needsKey ? '  -H "Authorization: Bearer $CODEX_PROXY_API_KEY" \\\n' : "";
  const container = "From a container, use the host's name instead of localhost; the proxy then needs a key.";
  const json = (settings) => JSON.stringify(settings, null, 2);
  const fields = [["Base URL", base], ["API key", field, needsKey], ["Model", model]];
  return [
    ["curl", null, [["Terminal",
      `curl ${base}/chat/completions \\\n${bearer}  -H "Content-Type: application/json" \\\n` +
      `  -d '{"model":"${model}","messages":[{"role":"user","content":"Hello!"}]}'`]]],
    ["OpenAI Python", null, [["Python",
      `${importOs}from openai import OpenAI\n\nclient = OpenAI(base_url="${base}", api_key=${python})\n` +
      `reply = client.chat.completions.create(\n    model="${model}",\n` +
      `    messages=[{"role": "user", "content": "Hello!"}],\n)\nprint(reply.choices[0].message.content)`]]],
    ["OpenAI Node", null, [["JavaScript",
      `import OpenAI from "openai";\n\nconst client = new OpenAI({\n  baseURL: "${base}",\n  apiKey: ${node},\n});\n` +
      `const reply = await client.chat.completions.create({\n  model: "${model}",\n` +
      `  messages: [{ role: "user", content: "Hello!" }],\n});\nconsole.log(reply.choices[0].message.content);`]]],
    ["LiteLLM", "Chat Completions and the Responses API both work.", [["Python",
      `${importOs}import litellm\n\nreply = litellm.completion(\n    model="openai/${model}",\n` +
      `    messages=[{"role": "user", "content": "Hello!"}],\n    api_base="${base}",\n    api_key=${python},\n)\n` +
      "print(reply.choices[0].message.content)"],
    ["config.yaml of the LiteLLM proxy",
      `model_list:\n  - model_name: ${model}\n    litellm_params:\n      model: openai/${model}\n` +
      `      api_base: ${base}\n      api_key: ${needsKey ? "os.environ/CODEX_PROXY_API_KEY" : "unused"}`]]],
    ["aider", null, [["Terminal",
      `export OPENAI_API_BASE=${base}\nexport OPENAI_API_KEY=${shell}\naider --model openai/${model} --weak-model openai/gpt-5-nano`]]],
    ["goose", null, [["Terminal",
      `export GOOSE_PROVIDER=openai\nexport GOOSE_MODEL=${model}\nexport OPENAI_HOST=${location.origin}\n` +
      `export OPENAI_BASE_PATH=${base.slice(location.origin.length + 1)}/chat/completions\nexport OPENAI_API_KEY=${shell}`]]],
    ["Cline", "In Cline's settings, choose the API provider “OpenAI Compatible”.", fields],
    ["Roo Code", "In Roo's settings, under Providers, choose “OpenAI Compatible”.", fields],
    ["JetBrains AI", "In the AI Chat window choose “Use API Key or Local Models”, and there “OpenAI-compatible”.", fields],
    ["Zed", "Enter the key in the agent panel's settings, under codex-proxy.", [["~/.config/zed/settings.json", json({
      language_models: {
        openai_compatible: {
          "codex-proxy": {
            api_url: base,
            available_models: [{
              name: model,
              max_tokens: 272000,
              max_output_tokens: 128000,
              max_completion_tokens: 128000,
              capabilities: { tools: true, images: true, parallel_tool_calls: true, prompt_cache_key: true },
            }],
          },
        },
      },
    })]]],
    ["VS Code Copilot", "In the model picker: Manage Models…, Add Models, Custom Endpoint.", [["chatLanguageModels.json", json([{
      name: "codex-proxy",
      vendor: "customendpoint",
      apiKey: field,
      apiType: "responses",
      models: [{
        id: model,
        name: model,
        url: `${base}/responses`,
        toolCalling: true,
        vision: true,
        thinking: true,
        maxInputTokens: 272000,
        maxOutputTokens: 128000,
      }],
    }])]]],
    ["Open WebUI", `In the admin settings, under Connections, add an OpenAI API connection. ${container}`, fields],
    ["n8n", `Create a credential of type OpenAI. ${container}`, fields],
    ["Home Assistant", `Install the integration Extended OpenAI Conversation from HACS. ${container}`, fields],
    ["Continue", null, [["~/.continue/config.yaml",
      `name: codex-proxy\nversion: 1.0.0\nschema: v1\nmodels:\n  - name: ${model}\n    provider: openai\n    model: ${model}\n` +
      `    apiBase: ${base}\n    apiKey: ${needsKey ? "${{ secrets.CODEX_PROXY_API_KEY }}" : "unused"}\n    roles: [chat, edit, apply]`]]],
    ["Vercel AI SDK", null, [["JavaScript",
      'import { createOpenAICompatible } from "@ai-sdk/openai-compatible";\nimport { generateText } from "ai";\n\n' +
      `const codex = createOpenAICompatible({\n  name: "codex-proxy",\n  baseURL: "${base}",\n  apiKey: ${node},\n` +
      `  includeUsage: true,\n  supportsStructuredOutputs: true,\n});\nconst { text } = await generateText({\n  model: codex("${model}"),\n  prompt: "Hello!",\n});\nconsole.log(text);`]]],
    ["Codex CLI", null, [["~/.codex/config.toml",
      `model = "${model}"\nmodel_provider = "codex-proxy"\n\n[model_providers.codex-proxy]\nname = "codex-proxy"\n` +
      `base_url = "${base}"\nwire_api = "responses"${needsKey ? '\nenv_key = "CODEX_PROXY_API_KEY"' : ""}\n` +
      "request_max_retries = 0\nstream_max_retries = 1"]]],
  ];
}

function showSetup(model, status) {
  const list = clients(model, status);
  const tabs = list.map(([name], at) =>
    make("button", { type: "button", role: "tab", id: `tab-${at}`, "aria-controls": "panel", textContent: name, onclick: () => choose(at) }));
  const choose = (at) => {
    chosen = at;
    tabs.forEach((tab, other) => {
      tab.setAttribute("aria-selected", String(other === at));
      tab.tabIndex = other === at ? 0 : -1;
    });
    id("panel").setAttribute("aria-labelledby", `tab-${at}`);
    const [, text, parts] = list[at];
    const isForm = parts.length > 0 && parts[0][0] === "Base URL";
    id("panel").replaceChildren(
      ...(text ? [make("p", { textContent: text })] : []),
      ...(isForm ? [make("div", { className: "snippet" }, ...parts.map(formField))] : parts.map(([title, code]) => snippet(title, code))));
  };
  id("tabs").replaceChildren(...tabs);
  id("tabs").onkeydown = (event) => {
    const to = { ArrowDown: chosen + 1, ArrowRight: chosen + 1, ArrowUp: chosen - 1, ArrowLeft: chosen - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    choose((to + tabs.length) % tabs.length);
    tabs[chosen].focus();
  };
  choose(chosen);
}

function snippet(title, code) {
  const pre = make("pre", { tabIndex: 0, "aria-label": title }, make("code", { textContent: code }));
  return make("div", { className: "snippet" },
    make("div", { className: "top" }, make("span", { textContent: title }), copyButton(title, pre, code)), pre);
}

function formField([name, value, isProse]) {
  const code = make(isProse ? "b" : "code", { textContent: value });
  return make("div", { className: "field" }, make("span", { textContent: name }), code, isProse ? null : copyButton(name, code, value));
}

function copyButton(title, element, text) {
  const button = make("button", { type: "button", className: "copy", textContent: "Copy", "aria-label": `Copy: ${title}` });
  button.onclick = async () => {
    const isCopied = await copy(element, text);
    button.textContent = isCopied ? "Copied" : "Selected";
    id("announce").textContent = isCopied ? "Copied" : "Selected; copy it with your keyboard";
    setTimeout(() => { button.textContent = "Copy"; id("announce").textContent = ""; }, 1600);
  };
  return button;
}

// Browsers give pages over plain http from another machine no clipboard access; users can still copy the selection.
async function copy(element, text) {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch { /* The way below is left. */ }
  }
  getSelection().selectAllChildren(element);
  return document.execCommand("copy");
}

// ---- words

function windowName(window) {
  const length = window.name.split(" ").pop();
  const named = { "5h": "5 hours", daily: "Daily", weekly: "Weekly", monthly: "Monthly" }[length] || length;
  return window.limit ? `${window.limit}, ${named.toLowerCase()}` : named;
}

const numbers = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
function count(number) { return number < 10000 ? String(number) : numbers.format(number); }
function capital(text) { return text ? text[0].toUpperCase() + text.slice(1) : text; }
function seconds(ms) { return ms < 1 ? "< 1 ms" : ms < 100 ? `${ms} ms` : ms < 100000 ? `${(ms / 1000).toFixed(1)} s` : span(ms / 1000); }
function clock(text) { return new Date(text).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }); }

function when(text) {
  const at = new Date(text);
  const options = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const days = (at - Date.now()) / 86400000;
  if (Math.abs(days) > 6) Object.assign(options, { day: "numeric", month: "short" });
  else if (at.toDateString() !== new Date().toDateString()) options.weekday = "short";
  return at.toLocaleString([], options);
}

function span(secs) {
  const units = [[86400, "d"], [3600, "h"], [60, "min"]];
  for (const [at, [size, unit]] of units.entries()) {
    if (secs < size) continue;
    const next = units[at + 1];
    const rest = next ? Math.floor((secs % size) / next[0]) : 0;
    return `${Math.floor(secs / size)} ${unit}${rest ? ` ${rest} ${next[1]}` : ""}`;
  }
  return "less than a minute";
}

// ---- start

id("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key = id("key").value.trim();
  id("key").value = "";
  sessionStorage.setItem(KEPT, key);
  poll();
});
id("more").addEventListener("click", () => {
  isExpanded = !isExpanded;
  poll();
});
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") poll();
  else clearTimeout(timer);
});
poll();

