//! Whatever a chat body holds, it is refused with a message or becomes a request that the backend's allow-list admits.
#![no_main]

use codex_translate::{Options, Profile, chat, to_responses};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// The top-level keys that the backend takes (wire.md §2.5).
const ALLOWED: [&str; 16] = [
    "model",
    "instructions",
    "input",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "store",
    "stream",
    "stream_options",
    "include",
    "service_tier",
    "prompt_cache_key",
    "text",
    "client_metadata",
    "previous_response_id",
];

fuzz_target!(|body: &[u8]| {
    let Ok(request) = chat::Request::from_json(body) else { return };
    let Ok(translated) = to_responses(request, &Profile::permissive("gpt-5.1"), &Options::default()) else { return };
    let sent: Value = serde_json::from_slice(&translated.request.to_json()).expect("the request is JSON");
    let keys = sent.as_object().expect("the request is an object");
    assert!(keys.keys().all(|key| ALLOWED.contains(&key.as_str())), "{keys:?}");
    assert_eq!((&sent["store"], &sent["stream"]), (&Value::Bool(false), &Value::Bool(true)));
    for item in sent["input"].as_array().expect("input is a list") {
        assert_ne!(item["role"], "system", "{item}");
    }
});
