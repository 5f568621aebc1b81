//! Whatever a browser or a user returns from a login, it yields a code only with the original state.
#![no_main]

use codex_auth::{OAuthState, parse_callback, parse_pasted};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let expected = OAuthState::new(&mut |bytes: &mut [u8]| bytes.fill(7));
    let state = expected.as_str();
    if parse_callback(text, &expected).is_ok() {
        assert!(text.contains("state"), "{text:?}");
    }
    // A bare code is accepted, so only an answer with another state must be rejected.
    let _ = parse_pasted(text, &expected);
    // With the right state, an answer is a code, a denial or nothing, whatever else it contains.
    let _ = parse_callback(&format!("state={state}&{text}"), &expected);
    assert!(parse_callback(&format!("state=not-{state}&code=x&{text}"), &expected).is_err(), "{text:?}");
});
