"""The model catalogues of codex-upstream and codex-sim, which are derived from `scripts/models/`.

`captured.json` has what the catalogue inside an official client says about each model: names, numbers and flags, without
instructions and other prose. `older.json` has the seven names that codex-proxy has always listed and that no catalogue has
any more.
"""

import json

from checks import ROOT, fault

CAPTURED = "scripts/models/captured.json"
OLDER = "scripts/models/older.json"
BUILT_IN = "crates/codex-upstream/src/models/catalogue.json"
SIMULATED = "crates/codex-sim/src/catalogue.json"

# Texts of an entry; the rest are facts.
PROSE = {"availability_nux", "base_instructions", "description", "migration_markdown", "model_messages"}

# What codex-upstream knows of a model.
BUILT_IN_KEYS = (
    "slug", "display_name", "default_reasoning_level", "supported_reasoning_levels", "visibility", "minimal_client_version",
    "supported_in_api", "priority", "service_tiers", "default_service_tier", "supports_reasoning_summaries",
    "supports_reasoning_summary_parameter", "default_reasoning_summary", "support_verbosity", "default_verbosity",
    "input_modalities", "supports_parallel_tool_calls", "context_window", "max_context_window", "use_responses_lite",
    "prefer_websockets", "available_in_plans", "upgrade",
)

# The priority of the first older model: they sort behind all others.
OLDER_PRIORITY = 100

# The simulator's own texts, where the official client's decoder requires one.
EFFORTS = {
    "low": "Fast responses with lighter reasoning",
    "medium": "A balance of speed and depth for everyday work",
    "high": "More depth for complex problems",
    "xhigh": "Extra depth for complex problems",
    "max": "The most depth one agent gives",
    "ultra": "The most depth, with work handed to other agents",
}
TIER = "Faster, with increased usage"
INSTRUCTIONS = "You are a coding agent. These instructions come from a simulated backend."

# What the simulator assumes of an older model.
ASSUMED = {
    "prefer_websockets": False, "support_verbosity": False, "default_verbosity": None, "apply_patch_tool_type": "freeform",
    "web_search_tool_type": "text_and_image", "input_modalities": ["text", "image"], "supports_image_detail_original": True,
    "truncation_policy": {"mode": "tokens", "limit": 10000}, "supports_parallel_tool_calls": True, "use_responses_lite": False,
    "context_window": 272000, "default_reasoning_summary": "none", "default_reasoning_level": "medium",
    "supported_reasoning_levels": [{"effort": effort} for effort in ("low", "medium", "high", "xhigh")],
    "shell_type": "shell_command", "minimal_client_version": "0.0.1", "supported_in_api": True, "experimental_supported_tools": [],
    "supports_search_tool": True, "default_service_tier": None, "service_tiers": [], "additional_speed_tiers": [],
    "supports_reasoning_summary_parameter": True, "supports_reasoning_summaries": True, "upgrade": None,
    "include_skills_usage_instructions": True, "include_apps_usage_instructions": True, "include_plugin_usage_instructions": True,
    "auto_compact_token_limit": None,
}


def check() -> None:
    """Compares the derived files with what this module makes."""
    for name, text in derived().items():
        if (ROOT / name).read_text(encoding="utf-8") != text:
            fault(name, "is not what scripts/derive-catalogues makes: run it")


def derived() -> dict[str, str]:
    """Returns the derived files with their contents."""
    captured, older = read(CAPTURED), read(OLDER)
    return {BUILT_IN: listing(built_in(captured, older)), SIMULATED: listing(simulated(captured, older))}


def facts(value: object) -> object:
    """Returns a captured value without its prose."""
    if isinstance(value, dict):
        return {key: facts(member) for key, member in value.items() if key not in PROSE}
    if isinstance(value, list):
        return [facts(entry) for entry in value]
    return value


def listing(models: list[dict]) -> str:
    """Writes a catalogue, one model a line."""
    lines = (json.dumps(model, ensure_ascii=False, separators=(",", ":")) for model in models)
    return '{"models":[\n' + ",\n".join(lines) + "\n]}\n"


def built_in(captured: list[dict], older: list[dict]) -> list[dict]:
    known = [{key: model[key] for key in BUILT_IN_KEYS if key in model} for model in captured]
    return known + [
        {"slug": model["slug"], "display_name": model["slug"], "visibility": "list", "priority": OLDER_PRIORITY + index} | model["known"]
        for index, model in enumerate(older)
    ]


def simulated(captured: list[dict], older: list[dict]) -> list[dict]:
    plans = next(model["available_in_plans"] for model in captured if model["slug"] == "gpt-5.5")
    assumed = [
        ASSUMED
        | {"slug": model["slug"], "display_name": model["display_name"], "visibility": "list", "priority": OLDER_PRIORITY + index}
        | {"available_in_plans": plans} | model["known"] | model["assumed"]
        for index, model in enumerate(older)
    ]
    return [described(model) for model in captured + assumed]


def described(model: dict) -> dict:
    """Returns an entry with every key that the official client's decoder requires, with the simulator's own texts."""
    upgrade = model["upgrade"] and {**model["upgrade"], "migration_markdown": f"Use {model['upgrade']['model']} instead."}
    return model | {
        "description": f"The simulated {model['display_name']}.",
        "supported_reasoning_levels": [level | {"description": EFFORTS[level["effort"]]} for level in model["supported_reasoning_levels"]],
        "service_tiers": [tier | {"description": TIER} for tier in model["service_tiers"]],
        "max_context_window": model.get("max_context_window", model["context_window"]),
        "upgrade": upgrade,
        "availability_nux": None,
        "model_messages": None,
        "base_instructions": INSTRUCTIONS,
        "effective_context_window_percent": 95,
    }


def read(name: str) -> list[dict]:
    return json.loads((ROOT / name).read_text(encoding="utf-8"))["models"]
