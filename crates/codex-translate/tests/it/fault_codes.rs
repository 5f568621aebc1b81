//! The codes of faults that end a stream, as the public API and the official client know them, and what clients see.

use codex_translate::backend::FaultReport;
use codex_translate::{ChatPipe, Chunk, Error, ErrorKind, EventReader, Pipe, RawEvent, ReplyPlan, ResponsesPipe};
use serde_json::{Value, json};

use crate::fixtures::reply_id;

/// `ResponseError.code` of openai-python 3.57, each with its kind. Only what a repetition can cure is the server's.
const PUBLIC: [(&str, ErrorKind); 21] = [
    ("server_error", ErrorKind::Server),
    ("rate_limit_exceeded", ErrorKind::RateLimited),
    ("invalid_prompt", ErrorKind::PolicyRefused),
    ("data_residency_mismatch", ErrorKind::Permission),
    ("bio_policy", ErrorKind::PolicyRefused),
    ("misalignment_policy_violation", ErrorKind::PolicyRefused),
    ("vector_store_timeout", ErrorKind::Server),
    ("invalid_image", ErrorKind::InvalidRequest),
    ("invalid_image_format", ErrorKind::InvalidRequest),
    ("invalid_base64_image", ErrorKind::InvalidRequest),
    ("invalid_image_url", ErrorKind::InvalidRequest),
    ("image_too_large", ErrorKind::InvalidRequest),
    ("image_too_small", ErrorKind::InvalidRequest),
    ("image_parse_error", ErrorKind::InvalidRequest),
    ("image_content_policy_violation", ErrorKind::PolicyRefused),
    ("invalid_image_mode", ErrorKind::InvalidRequest),
    ("image_file_too_large", ErrorKind::InvalidRequest),
    ("unsupported_image_media_type", ErrorKind::InvalidRequest),
    ("empty_image_file", ErrorKind::InvalidRequest),
    ("failed_to_download_image", ErrorKind::InvalidRequest),
    ("image_file_not_found", ErrorKind::InvalidRequest),
];

/// Those that only the backend has (docs/backend.md §3.6).
const BACKENDS_OWN: [(&str, ErrorKind); 12] = [
    ("context_length_exceeded", ErrorKind::ContextLengthExceeded),
    ("insufficient_quota", ErrorKind::QuotaExceeded),
    ("cyber_policy", ErrorKind::PolicyRefused),
    ("content_policy_violation", ErrorKind::PolicyRefused),
    ("inference_hook_denied", ErrorKind::PolicyRefused),
    ("invalid_access_program", ErrorKind::InvalidRequest),
    ("unsupported_access_program", ErrorKind::InvalidRequest),
    ("access_program_not_enabled", ErrorKind::InvalidRequest),
    ("model_not_found", ErrorKind::ModelNotFound),
    ("server_is_overloaded", ErrorKind::Overloaded),
    ("slow_down", ErrorKind::Overloaded),
    ("a_code_of_tomorrow", ErrorKind::Server),
];

fn failed(error: &Value) -> Value {
    json!({"type": "response.failed", "response": {"id": "resp_1", "status": "failed", "error": error}})
}

/// Returns what a client gets of a turn that fails after its first output, and its error.
fn streamed(mut pipe: impl Pipe<Vec<u8>>, failure: &Value) -> (Vec<Value>, Error) {
    let delta =
        json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hi"}).to_string();
    let mut out = Vec::new();
    let _flow = pipe.push(RawEvent::new(&delta), &mut out).unwrap();
    let error = pipe.feed(&mut EventReader::new(), &Chunk::Message(failure.to_string()), &mut out).unwrap_err();
    pipe.write_error(&error, &mut out);
    let text = String::from_utf8(out).unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    (data.map(|data| serde_json::from_str(data).unwrap()).collect(), error)
}

#[test]
fn each_code_has_its_kind_in_every_form() {
    for (code, kind) in PUBLIC.into_iter().chain(BACKENDS_OWN) {
        let error = json!({"code": code, "message": "m"});
        for report in [json!({"error": error}), failed(&error), json!({"type": "error", "error": error})] {
            let error = FaultReport::parse(report.to_string().as_bytes()).into_error();
            assert_eq!((error.kind(), error.code()), (kind, Some(code)), "{report}");
        }
        let (chunks, error) = streamed(ChatPipe::new(&ReplyPlan::new("m"), &reply_id()), &failed(&error));
        assert_eq!(error.kind(), kind, "{code}");
        assert_eq!(chunks.last().unwrap()["error"]["code"], code);
        let failure = failed(&json!({"code": code, "message": "m"}));
        let (events, _) = streamed(ResponsesPipe::new(&ReplyPlan::new("m"), &reply_id()), &failure);
        let last = events.last().unwrap();
        assert_eq!((&last["type"], &last["response"]["error"]["code"]), (&json!("response.failed"), &json!(code)));
    }
}

/// With a status, a code of the table still decides, whichever status the backend sends with it.
#[test]
fn a_refusal_is_not_taken_for_a_permission_that_is_missing() {
    for status in [400, 403] {
        let report = json!({"status": status, "error": {"code": "misalignment_policy_violation", "message": "m"}});
        let error = FaultReport::parse(report.to_string().as_bytes()).into_error();
        assert_eq!((error.kind(), error.status_hint()), (ErrorKind::PolicyRefused, 400));
    }
}

#[test]
fn the_details_of_a_misalignment_reach_the_client() {
    let details = json!({"error_type": "other", "detailed_explanation": "why", "review_target": "rt_1",
        "steer": {"message": "Ask first."}});
    let with =
        |details: &Value| json!({"code": "misalignment_policy_violation", "message": "m", "misalignment": details});
    let report = json!({"error": with(&details)});
    let body: Value =
        serde_json::from_slice(&FaultReport::parse(report.to_string().as_bytes()).into_error().to_json()).unwrap();
    assert_eq!(body["error"]["misalignment"], details);

    let failure = failed(&with(&details));
    let (chunks, _) = streamed(ChatPipe::new(&ReplyPlan::new("m"), &reply_id()), &failure);
    assert_eq!(chunks.last().unwrap()["error"]["misalignment"], details);
    let (events, _) = streamed(ResponsesPipe::new(&ReplyPlan::new("m"), &reply_id()), &failure);
    assert_eq!(events.last().unwrap()["response"]["error"]["misalignment"], details);

    for absent in [json!(null), json!("why")] {
        let error = FaultReport::parse(failed(&with(&absent)).to_string().as_bytes()).into_error();
        let body: Value = serde_json::from_slice(&error.to_json()).unwrap();
        assert!(body["error"].get("misalignment").is_none(), "{body}");
    }
}
