//! Normalising a Responses body is idempotent.
#![no_main]

use codex_translate::{Options, Profile, normalise, responses};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let (profile, options) = (Profile::permissive("gpt-5.1"), Options::default());
    let Ok(request) = responses::ResponsesRequest::from_json(body) else { return };
    let Ok(once) = normalise(request, &profile, &options) else { return };
    let sent = once.request.to_json();
    let again = responses::ResponsesRequest::from_json(&sent).expect("what is sent can be read");
    let twice = normalise(again, &profile, &options).expect("what is sent is in order");
    assert_eq!(String::from_utf8_lossy(&sent), String::from_utf8_lossy(&twice.request.to_json()));
});
