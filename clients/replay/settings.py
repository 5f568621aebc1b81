"""The settings that a reader of a setup page enters into the client, from the page's code blocks."""

import json
import re
import shlex

import yaml
from harness import KEY
from snippets import ADDRESS, Page

# Other addresses on the pages: this machine as seen from a container, and from Cursor's servers.
ELSEWHERE = ("http://host.docker.internal:8787", "https://codex-proxy.example.com")
# The placeholder for a key that each reader generates.
OWN_KEY = "<your key>"
MODEL = "gpt-5.5"


def here(proxy, block, key=KEY):
    """Returns a block with the test's address and the reader's key."""
    for address in (ADDRESS, *ELSEWHERE):
        block = block.replace(address, proxy.url)
    return block.replace(OWN_KEY, key)


def fields(block):
    """Reads a block of form fields: one name and value per line."""
    return dict(re.split(r": +", line, maxsplit=1) for line in block.splitlines())


def exported(block):
    """Returns the variables that a shell block exports, or passes to a container with -e."""
    words = shlex.split(block.replace("\\\n", " "), comments=True)
    return dict(word.split("=", 1) for before, word in zip(words, words[1:]) if before in ("export", "-e"))


def chosen(base_url, api_key, model=MODEL):
    return {"base_url": base_url, "api_key": api_key, "model": model}


def cursor(proxy, key=KEY):
    form = fields(here(proxy, Page("cursor").block("text", "Base URL"), key))
    return chosen(form["Override OpenAI Base URL"], form["OpenAI API Key"], form["Custom model"])


def open_webui(proxy):
    container = exported(here(proxy, Page("open-webui").block("bash", "docker run")))
    form = fields(here(proxy, Page("open-webui").block("text", "URL")))
    assert (form["URL"], form["Key"]) == (container["OPENAI_API_BASE_URL"], container["OPENAI_API_KEY"])
    return chosen(form["URL"], form["Key"]) | {"task_model": container["TASK_MODEL_EXTERNAL"]}


def zed(proxy):
    ((name, provider),) = json.loads(here(proxy, Page("zed").block("json")))["language_models"]["openai_compatible"].items()
    # Zed derives the name of the variable from the provider's.
    key = exported(Page("zed").block("bash"))[f"{name.upper().replace('-', '_')}_API_KEY"]
    (model,) = provider["available_models"]
    return chosen(provider["api_url"], key, model["name"]) | {"max_completion_tokens": model["max_completion_tokens"]}


def jetbrains(proxy):
    form = fields(here(proxy, Page("jetbrains").block("text")))
    return chosen(form["Base URL"], form["Key"], form["Model"])


def n8n(proxy):
    form = fields(here(proxy, Page("n8n").block("text", "localhost")))
    assert form == fields(here(proxy, Page("n8n").block("text", "docker"))), "the same, from a container"
    return chosen(form["Base URL"], form["API Key"])


def home_assistant(proxy):
    form = fields(here(proxy, Page("home-assistant").block("text")))
    return chosen(form["Base Url"], form["API Key"], form["Model"])


def home_assistant_core(proxy):
    (service,) = yaml.safe_load(here(proxy, Page("home-assistant").block("yaml")))["services"].values()
    return chosen(service["environment"]["OPENAI_BASE_URL"], KEY)


def roo(proxy):
    profiles = json.loads(here(proxy, Page("roo").block("json")))["providerProfiles"]
    profile = profiles["apiConfigs"][profiles["currentApiConfigName"]]
    assert profile["apiProvider"] == "openai"
    form = fields(here(proxy, Page("roo").block("text")))
    assert form == {"Base URL": profile["openAiBaseUrl"], "API Key": profile["openAiApiKey"], "Model": profile["openAiModelId"]}
    return chosen(profile["openAiBaseUrl"], profile["openAiApiKey"], profile["openAiModelId"])


def goose(proxy):
    shell = exported(here(proxy, Page("goose").block("bash")))
    config = yaml.safe_load(here(proxy, Page("goose").block("yaml")))
    assert config.items() <= shell.items() and shell["GOOSE_PROVIDER"] == "openai"
    # goose joins the two as an address and a path below it.
    url = f"{shell['OPENAI_HOST'].rstrip('/')}/{shell['OPENAI_BASE_PATH'].lstrip('/')}"
    return {"chat_url": url, "api_key": shell["OPENAI_API_KEY"], "model": shell["GOOSE_MODEL"]}


def vscode_copilot(proxy):
    (provider,) = json.loads(here(proxy, Page("vscode-copilot").block("json")))
    assert provider["vendor"] == "customendpoint"
    (model,) = provider["models"]
    return {"url": model["url"], "api_key": provider["apiKey"], "model": model["id"], "api": provider["apiType"]}


def continue_(proxy):
    """Its page is tested with its CLI; in an editor, address and key are the same."""
    return chosen(proxy.base_url, KEY)
