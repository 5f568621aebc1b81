//! Compactions and images: the unary calls.

use codex_sim::{Mint, Outcome};
use serde_json::{Value, json};

use crate::peer::{Peer, turn_with};

const COMPACT: &str = "/backend-api/codex/responses/compact";
const GENERATIONS: &str = "/backend-api/codex/images/generations";
const EDITS: &str = "/backend-api/codex/images/edits";
const PIXEL: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAA\
                     AABJRU5ErkJggg==";

fn compaction(text: &str, changes: Value) -> Value {
    let mut body = json!({
        "model": "gpt-5.5", "parallel_tool_calls": false,
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}],
    });
    body.as_object_mut().expect("an object").extend(changes.as_object().expect("an object").clone());
    body
}

fn image_request(prompt: &str, changes: Value) -> Value {
    let mut body = json!({"model": "gpt-image-2", "prompt": prompt});
    body.as_object_mut().expect("an object").extend(changes.as_object().expect("an object").clone());
    body
}

#[tokio::test]
async fn a_compaction_is_one_item_that_the_next_turn_accepts() {
    let peer = Peer::start().await;
    let reply = peer.post(COMPACT, &compaction("hello", json!({"reasoning": {"effort": "low"}}))).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.header("x-codex-primary-used-percent").is_some());
    let body = reply.json();
    assert_eq!(body["object"], "response.compaction");
    let item = &body["output"][0];
    assert_eq!((&item["type"], body["output"].as_array().map(Vec::len)), (&json!("compaction"), Some(1)));
    assert!(body["usage"]["input_tokens"].as_u64() > Some(0), "{body}");

    let user = json!({"role": "user", "content": "go on"});
    let next = |model: &str| turn_with("", json!({"model": model, "input": [item, user]}));
    assert_eq!(peer.turn(&next("gpt-5.5")).await.last()["type"], "response.completed");
    let other = peer.turn(&next("gpt-6-sol")).await;
    assert_eq!(other.json()["error"]["code"], "invalid_encrypted_content");
}

#[tokio::test]
async fn a_turn_that_ends_with_a_trigger_returns_a_compaction() {
    let peer = Peer::start().await;
    let input = json!([{"role": "user", "content": "hello"}, {"type": "compaction_trigger"}]);
    let items = peer.turn(&turn_with("", json!({"input": input}))).await.items();
    assert_eq!((items.len(), &items[0]["type"]), (1, &json!("compaction")));
    let user = json!({"role": "user", "content": "go on"});
    let next = peer.turn(&turn_with("", json!({"input": [items[0], user]}))).await;
    assert_eq!(next.status, 200, "{}", next.text());
}

#[tokio::test]
async fn compactions_are_checked_like_turns() {
    let peer = Peer::start().await;
    let cases = [
        (json!({"tools": []}), "Unknown parameter: 'tools'."),
        (json!({"store": false}), "Unsupported parameter: store"),
        (json!({"text": {"verbosity": "low"}}), "Unsupported parameter: text"),
        (json!({"tool_choice": "auto"}), "Unsupported parameter: tool_choice"),
        (json!({"client_metadata": {}}), "Unsupported parameter: client_metadata"),
        (json!({"stream": true}), "Unsupported parameter: stream"),
        (json!({"parallel_tool_calls": true}), "Parallel tool calls must be set to false"),
        (json!({"input": "hello"}), "Input must be a list"),
        (json!({"model": "gpt-4o"}), "model is not supported when using Codex"),
        (json!({"reasoning": {"effort": "ultra"}}), "reasoning.effort"),
        (json!({"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}), "c"),
    ];
    for (changes, wanted) in cases {
        let reply = peer.post(COMPACT, &compaction("hello", changes)).await;
        assert_eq!(reply.status, 400, "{}", reply.text());
        assert!(reply.text().contains(wanted), "{} lacks {wanted}", reply.text());
    }
    assert_eq!(peer.fetch(COMPACT).await.status, 405);
}

#[tokio::test]
async fn as_many_images_as_requested_with_properties_that_the_backend_chooses() {
    let peer = Peer::start().await;
    let asked = json!({"n": 2, "quality": "high", "size": "1024x1536", "background": "auto"});
    let reply = peer.post(GENERATIONS, &image_request("a fox", asked)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let body = reply.json();
    assert_eq!(body["data"].as_array().map(Vec::len), Some(2));
    assert!(body["data"][0]["b64_json"].as_str().is_some_and(|data| data.starts_with("iVBOR")));
    assert_eq!((&body["quality"], &body["size"]), (&json!("low"), &json!("1254x1254")));
    let edited = peer.post(EDITS, &image_request("a hat", json!({"images": [{"image_url": PIXEL}]}))).await;
    assert_eq!(edited.status, 200, "{}", edited.text());
}

#[tokio::test]
async fn image_requests_are_checked() {
    let peer = Peer::start().await;
    let cases = [
        (GENERATIONS, json!({"response_format": "b64_json"}), "Unknown parameter: 'response_format'."),
        (GENERATIONS, json!({"output_format": "webp"}), "Unknown parameter: 'output_format'."),
        (GENERATIONS, json!({"images": [{"image_url": PIXEL}]}), "Unknown parameter: 'images'."),
        (GENERATIONS, json!({"prompt": ""}), "empty string"),
        (GENERATIONS, json!({"prompt": null}), "Invalid type for 'prompt'"),
        (GENERATIONS, json!({"n": 11}), "'n'"),
        (GENERATIONS, json!({"quality": "hd"}), "Invalid value: 'hd'."),
        (GENERATIONS, json!({"size": "large"}), "Invalid value: 'large'."),
        (EDITS, json!({}), "Missing required parameter: 'images'."),
        (EDITS, json!({"images": [{"image_url": "data:image/png;base64,AAAA"}]}), "valid image"),
        (EDITS, json!({"images": [{"file_id": "file_1"}]}), "Unknown parameter: 'images[0].file_id'."),
    ];
    for (path, changes, wanted) in cases {
        let reply = peer.post(path, &image_request("a fox", changes)).await;
        assert_eq!(reply.status, 400, "{}", reply.text());
        assert!(reply.text().contains(wanted), "{} lacks {wanted}", reply.text());
    }
}

#[tokio::test]
async fn the_free_plan_has_no_images() {
    let mut peer = Peer::start().await;
    peer.tokens = peer.sim.mint_tokens(Mint { plan_type: Some("free".to_owned()), ..Mint::default() });
    let reply = peer.post(GENERATIONS, &image_request("a fox", json!({}))).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["error"]["type"]), (429, &json!("usage_not_included")));
}

#[tokio::test]
async fn scenarios_apply_as_to_turns() {
    let peer = Peer::start().await;
    for (word, status) in
        [("401", 401), ("402", 402), ("404", 404), ("429-usage", 429), ("500", 500), ("cloudflare", 403)]
    {
        let text = format!("[sim:{word}] hello");
        let bodies = [(COMPACT, compaction(&text, json!({}))), (GENERATIONS, image_request(&text, json!({})))];
        for (path, body) in bodies {
            assert_eq!(peer.post(path, &body).await.status, status, "{path} {word}");
        }
    }
    let cut = peer.post(COMPACT, &compaction("[sim:cut]", json!({}))).await;
    assert!(cut.broken && cut.status == 200);
    assert!(peer.sim.requests().iter().any(|request| request.outcome == Outcome::Cut));
}
