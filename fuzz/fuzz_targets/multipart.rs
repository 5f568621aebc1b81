//! Any form is rejected with a 400 or becomes a JSON object, in which each file is a data URL.
#![no_main]

use futures_util::FutureExt as _;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

#[path = "../../crates/codex-proxy-bin/src/request/multipart.rs"]
#[allow(dead_code, reason = "the boundary comes from a header, which is not part of the input")]
mod multipart;

fuzz_target!(|body: &[u8]| {
    let read = multipart::to_json("b", body.to_vec().into()).now_or_never().expect("the body is already there");
    match read {
        Err(error) => assert_eq!(error.status_hint(), 400),
        Ok(json) => {
            let object: Map<String, Value> = serde_json::from_slice(&json).expect("a JSON object");
            let parts = body.windows(3).filter(|bytes| bytes == b"--b").count();
            assert!(object.len() <= parts, "{object:?}");
        }
    }
});
