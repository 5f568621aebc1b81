//! Any chat body is rejected with a message or becomes a request that the backend's allow-list accepts.
#![no_main]

use std::collections::BTreeMap;

use codex_translate::{Options, Profile, chat, to_responses};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use serde_json::value::RawValue;

#[path = "../../crates/codex-translate/tests/it/backend.rs"]
#[allow(dead_code, reason = "its other checks are for well-formed requests")]
mod backend;
#[path = "../../crates/codex-translate/tests/it/schema_oracle.rs"]
#[allow(dead_code, reason = "its other half is about instances")]
mod schema_oracle;

fuzz_target!(|body: &[u8]| {
    let Ok(request) = chat::ChatRequest::from_json(body) else { return };
    let Ok(translated) = to_responses(request, &Profile::permissive("gpt-5.1"), &Options::default()) else { return };
    let sent = translated.request.to_json();
    // Strict parsers reject unpaired surrogates. `Value` cannot hold deep nesting and huge numbers either, but they are
    // valid JSON and are carried.
    if let Err(error) = serde_json::from_slice::<Value>(&sent) {
        assert!(!error.to_string().contains("surrogate"), "{error}");
    }
    let sent: BTreeMap<String, &RawValue> = serde_json::from_slice(&sent).expect("the request is a JSON object");
    assert!(sent.keys().all(|key| backend::TOP_LEVEL.contains(&&**key)), "{:?}", sent.keys());
    assert_eq!((sent["store"].get(), sent["stream"].get()), ("false", "true"));
    let input: Vec<BTreeMap<String, &RawValue>> = serde_json::from_str(sent["input"].get()).expect("input is a list");
    assert!(input.iter().all(|item| item.get("role").is_none_or(|role| role.get() != "\"system\"")), "{input:?}");
});
