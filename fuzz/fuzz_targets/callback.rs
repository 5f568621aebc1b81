//! Whatever a browser or a person brings back from a login, a code comes out only with the state that went in.
#![no_main]

use codex_auth::{State, parse_callback, parse_pasted};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let expected = State::new(&mut |bytes: &mut [u8]| bytes.fill(7));
    let state = expected.as_str();
    if parse_callback(text, &expected).is_ok() {
        assert!(text.contains("state"), "{text:?}");
    }
    // A code alone is taken at its word, so only an answer that names another state is sure to be refused.
    let _ = parse_pasted(text, &expected);
    // With the right state, an answer is a code, a refusal or nothing, whatever else is in it.
    let _ = parse_callback(&format!("state={state}&{text}"), &expected);
    assert!(parse_callback(&format!("state=not-{state}&code=x&{text}"), &expected).is_err(), "{text:?}");
});
