//! Failures, before and after the first output.

use std::time::Duration;

use codex_auth::MemoryStore;
use codex_client::{BuildError, Client, error};
use codex_sim::RecordedRequest;
use codex_translate::responses::{InputItem, ResponsesRequest};
use codex_translate::{Error, ErrorKind, NoticeKind};
use codex_upstream::{HttpUpstreamConfig, ProxyConfig, ScriptedUpstream, TransportChoice, UpstreamError};
use serde_json::{Value, json};

use crate::support::{Rig, chat, chat_with, read, responses};

#[tokio::test]
async fn a_failure_before_the_first_output_is_an_error_in_every_form() {
    let rows = [
        ("[sim:failed-first=context_length_exceeded] hi", ErrorKind::ContextLengthExceeded),
        ("[sim:error-first=invalid_prompt] hi", ErrorKind::PolicyRefused),
        ("[sim:429-usage] hi", ErrorKind::UsageLimit),
        ("[sim:cut=1] hi", ErrorKind::Truncated),
        ("[sim:no-events] hi", ErrorKind::Truncated),
        ("[sim:cyber-policy] hi", ErrorKind::PolicyRefused),
    ];
    for (text, kind) in rows {
        let rig = Rig::start().await;
        for request in [chat(text), chat_with(text, json!({"stream": true})), chat_with(text, json!({"n": 2}))] {
            let error = rig.client.chat(request).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{text}: {error}");
        }
        assert_eq!(rig.client.responses(responses(text)).await.unwrap_err().kind(), kind, "{text}");
    }
}

#[tokio::test]
async fn a_failure_after_the_first_output_is_the_last_event_or_an_error() {
    let rig = Rig::start().await;
    for text in ["[sim:text=a b c d][sim:cut] hi", "[sim:text=a b c d][sim:no-terminal] hi"] {
        let stream = read(rig.client.chat(chat(text)).await.unwrap().into_sse()).await;
        assert!(stream.contains("data: {\"error\":{") && !stream.contains("\"finish_reason\":\"stop\""), "{stream}");
        let error = rig.client.chat(chat(text)).await.unwrap().collect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Truncated, "{error}");
        let stream = read(rig.client.responses(responses(text)).await.unwrap().into_sse()).await;
        assert!(stream.contains("event: response.failed\n") && !stream.contains("response.completed"), "{stream}");
    }
}

#[tokio::test]
async fn a_turn_that_is_overloaded_is_sent_once_more() {
    let rig = Rig::start().await;
    let whole = rig.client.chat(chat("[sim:overloaded-once][sim:text=fine] hi")).await.unwrap().collect().await;
    assert_eq!((whole.unwrap().text().to_string().as_str(), rig.turns().len()), ("fine", 2));
    let rig = Rig::start().await;
    let error = rig.client.chat(chat("[sim:overloaded] hi")).await.unwrap_err();
    assert_eq!((error.kind(), rig.turns().len()), (ErrorKind::Overloaded, 2));
}

/// Returns a request with reasoning of another account, and with `more` input.
fn with_foreign_reasoning(text: &str, more: &[Value]) -> ResponsesRequest {
    let mut input = vec![
        json!({"role": "user", "content": "a"}),
        json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAABforeign=="}),
        json!({"role": "assistant", "content": "b"}),
        json!({"role": "user", "content": text}),
    ];
    input.extend_from_slice(more);
    let body = json!({"model": "gpt-5.5", "input": input, "store": false});
    ResponsesRequest::from_json(body.to_string().as_bytes()).unwrap()
}

fn replace_encrypted(request: &mut ResponsesRequest, content: &str) {
    for item in &mut request.input {
        if let InputItem::Reasoning(reasoning) = item {
            reasoning.encrypted_content = Some(content.to_owned());
        }
    }
}

fn kinds(turn: &RecordedRequest) -> Vec<String> {
    let body = turn.body.as_ref().unwrap();
    let input = body["input"].as_array().unwrap();
    input.iter().map(|item| item["type"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_turn_whose_reasoning_is_unreadable_is_sent_once_more_without_it() {
    for transport in [TransportChoice::Http, TransportChoice::WebSocket] {
        let rig = Rig::start_with(|client| client.transport(transport)).await;
        let reply = rig.client.responses(with_foreign_reasoning("[sim:text=fine] hi", &[])).await.unwrap();
        let repaired: Vec<_> = reply.notices().iter().map(|notice| (&*notice.parameter, notice.kind)).collect();
        assert_eq!(repaired, [("input[]", NoticeKind::Repaired)]);
        assert_eq!(reply.collect().await.unwrap().text(), "fine");
        if transport == TransportChoice::Http {
            let sent: Vec<_> = rig.turns().iter().map(kinds).collect();
            assert_eq!(sent, [vec!["message", "reasoning", "message", "message"], vec!["message"; 3]]);
        }
    }
}

/// Texts of public reports (docs/backend.md §2.7), and words that gateways use.
#[tokio::test]
async fn a_refusal_of_encrypted_content_is_recognised_without_its_code() {
    for message in [
        "The encrypted content gAAA...Rg== could not be verified.",
        "The encrypted content for item rs_0e51 could not be verified. Reason: Encrypted content could not be decrypted \
         or parsed.",
        "Encrypted content organization_id did not match the target organization.",
        "Could not decrypt the provided encrypted_content.",
        "upstream error: {\"code\":\"invalid_encrypted_content\"}",
    ] {
        let error = json!({"code": null, "type": "invalid_request_error", "message": message});
        let other = json!({"code": "bad_request", "message": message});
        for word in [
            format!("refused-once=400 {}", json!({"error": error})),
            format!("refused-once=400 {}", json!({"error": other})),
            format!("refused-once=400 {}", json!({"detail": message})),
            format!("failed-first-once={error}"),
            format!("error-first-once={}", json!({"error": other})),
        ] {
            let rig = Rig::start().await;
            let mut request = with_foreign_reasoning(&format!("[sim:{word}][sim:text=fine] hi"), &[]);
            replace_encrypted(&mut request, &rig.encrypted("gpt-5.5").await);
            let reply = rig.client.responses(request).await.unwrap();
            assert_eq!((reply.notices().len(), rig.turns().len()), (1, 3), "{word}");
        }
    }
}

#[tokio::test]
async fn reasoning_that_a_stream_refuses_before_its_first_output_is_left_out() {
    for word in ["failed-first-once", "error-first-once"] {
        let rig = Rig::start().await;
        let text = format!("[sim:{word}=invalid_encrypted_content][sim:text=fine] hi");
        let mut request = with_foreign_reasoning(&text, &[]);
        // The simulator accepts this: it is what the stream refuses.
        replace_encrypted(&mut request, &rig.encrypted("gpt-5.5").await);
        let reply = rig.client.responses(request).await.unwrap();
        assert_eq!((reply.notices().len(), rig.turns().len()), (1, 3));
        assert_eq!(reply.collect().await.unwrap().text(), "fine");
    }
}

#[tokio::test]
async fn other_encrypted_content_that_is_unreadable_is_an_error_after_one_more_try_at_most() {
    let compaction = json!({"type": "compaction", "encrypted_content": "gAAAAABforeign=="});
    let rig = Rig::start().await;
    let error =
        rig.client.responses(with_foreign_reasoning("hi", std::slice::from_ref(&compaction))).await.unwrap_err();
    assert_eq!((error.code(), error.status_hint()), (Some("invalid_encrypted_content"), 400));
    assert_eq!(rig.turns().len(), 2);
    let body = json!({"model": "gpt-5.5", "input": [compaction, {"role": "user", "content": "hi"}]}).to_string();
    let request = || ResponsesRequest::from_json(body.as_bytes()).unwrap();
    let error = rig.client.responses(request()).await.unwrap_err();
    assert_eq!((error.code(), rig.turns().len()), (Some("invalid_encrypted_content"), 3));
    let compaction = rig.client.compact(with_foreign_reasoning("hi", &[])).await.unwrap();
    assert_eq!((compaction.notices.len(), rig.turns().len()), (1, 5));
}

#[tokio::test]
async fn an_invalid_request_names_the_parameter_and_nothing_is_sent() {
    let rig = Rig::start().await;
    let error = rig.client.chat(chat_with("hi", json!({"n": 100}))).await.unwrap_err();
    assert_eq!((error.status_hint(), error.param()), (400, Some("n")));
    assert!(rig.turns().is_empty());
}

#[tokio::test]
async fn the_failures_of_a_connection_are_errors_for_a_client() {
    let refused = UpstreamError::Connect { host: "h".to_owned(), reason: "refused".to_owned() };
    let closed = UpstreamError::Closed { host: "h".to_owned(), reason: "reset".to_owned() };
    for (error, kind) in [(closed, ErrorKind::Server), (refused, ErrorKind::Server)] {
        let upstream = ScriptedUpstream::new().error(error.clone());
        let tokens = codex_auth::Tokens::new("token".into());
        let client = Client::builder(MemoryStore::with_tokens(tokens)).upstream(upstream);
        let client = client.retry(codex_upstream::RetryPolicy::NEVER).build().unwrap();
        let error = client.chat(chat("hi")).await.unwrap_err();
        assert_eq!((error.kind(), error.status_hint()), (kind, 502), "{error}");
    }
}

#[test]
fn a_setting_that_cannot_be_used_is_named() {
    let builder = || Client::builder(MemoryStore::default());
    for url in ["chatgpt.com", "mailto:ada@example.com", "unix:/run/x", "http://chatgpt.com", "ftp://chatgpt.com"] {
        let error = builder().base_url(url).build().unwrap_err();
        assert!(matches!(error, BuildError::Url { setting: "base_url", .. }), "{url}: {error}");
        let error = builder().auth_url(url).build().unwrap_err();
        assert!(matches!(error, BuildError::Url { setting: "auth_url", .. }), "{url}: {error}");
    }
    let proxy = ProxyConfig { https: Some("ftp://proxy".to_owned()), ..ProxyConfig::default() };
    let error = builder().http(HttpUpstreamConfig { proxy, ..HttpUpstreamConfig::default() }).build().unwrap_err();
    assert!(error.to_string().contains("HTTPS_PROXY"), "{error}");
    assert!(builder().build().is_ok());
}

#[test]
fn a_retry_delay_of_any_length_is_a_header() {
    let error = Error::new(ErrorKind::RateLimited, "busy").with_retry_after(Duration::MAX);
    assert_eq!(error::headers(&error)["retry-after"], u64::MAX.to_string());
}
