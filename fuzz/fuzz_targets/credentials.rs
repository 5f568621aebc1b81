//! Any credentials file is rejected, or its tokens and all unknown members survive being rewritten.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

const KNOWN: [&str; 6] = ["access_token", "refresh_token", "id_token", "account_id", "expires_at", "last_refresh"];

fuzz_target!(|content: &[u8]| {
    let Some(once) = codex_auth::fuzzing::rewritten(content) else { return };
    let twice = codex_auth::fuzzing::rewritten(&once).expect("what is written can be read");
    assert_eq!(String::from_utf8_lossy(&once), String::from_utf8_lossy(&twice));
    let (Ok(before), Ok(after)) = (members(content), members(&once)) else { return };
    for (key, value) in before.iter().filter(|(key, _)| !KNOWN.contains(&key.as_str())) {
        assert_eq!(after.get(key), Some(value), "{key} is kept");
    }
});

fn members(content: &[u8]) -> serde_json::Result<Map<String, Value>> {
    serde_json::from_slice(content)
}
