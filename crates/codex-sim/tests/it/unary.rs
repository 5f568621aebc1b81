//! Images, which are unary calls, and compactions, which no longer are.

use codex_sim::{Mint, Outcome};
use serde_json::{Value, json};

use crate::peer::{Peer, turn_with};

const COMPACT: &str = "/backend-api/codex/responses/compact";
const GENERATIONS: &str = "/backend-api/codex/images/generations";
const EDITS: &str = "/backend-api/codex/images/edits";
const PIXEL: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAA\
                     AABJRU5ErkJggg==";

fn image_request(prompt: &str, changes: Value) -> Value {
    let mut body = json!({"model": "gpt-image-2", "prompt": prompt});
    body.as_object_mut().expect("an object").extend(changes.as_object().expect("an object").clone());
    body
}

#[tokio::test]
async fn a_turn_that_ends_with_a_trigger_returns_a_compaction_that_the_next_turn_accepts() {
    let peer = Peer::start().await;
    let input = json!([{"role": "user", "content": "hello"}, {"type": "compaction_trigger"}]);
    let reply = peer.turn(&turn_with("", json!({"input": input}))).await;
    let items = reply.items();
    assert_eq!((items.len(), &items[0]["type"]), (1, &json!("compaction")));
    assert_eq!(reply.last()["response"]["output"], json!([]));
    assert!(reply.last()["response"]["usage"]["output_tokens"].as_u64() > Some(0));

    let user = json!({"role": "user", "content": "go on"});
    let next = |model: &str| turn_with("", json!({"model": model, "input": [items[0], user]}));
    assert_eq!(peer.turn(&next("gpt-5.5")).await.last()["type"], "response.completed");
    let other = peer.turn(&next("gpt-6-sol")).await;
    assert_eq!(other.json()["error"]["code"], "invalid_encrypted_content");
}

#[tokio::test]
async fn the_endpoint_for_compactions_is_gone() {
    let mut peer = Peer::start().await;
    let reply = peer.post(COMPACT, &json!({"model": "gpt-5.5", "input": []})).await;
    assert_eq!((reply.status.as_u16(), reply.json()), (404, json!({"detail": "Not Found"})));
    peer.tokens.access_token.push('x');
    assert_eq!(peer.post(COMPACT, &json!({})).await.status, 401);
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
        assert_eq!(peer.post(GENERATIONS, &image_request(&text, json!({}))).await.status, status, "{word}");
    }
    let cut = peer.post(GENERATIONS, &image_request("[sim:cut]", json!({}))).await;
    assert!(cut.broken && cut.status == 200);
    assert!(peer.sim.requests().iter().any(|request| request.outcome == Outcome::Cut));
}
