//! Every fault of the backend, in each of its forms: as a status, in a stream and in a WebSocket frame.

use codex_sim::{Sim, SimConfig};
use codex_translate::backend::{Fault, Sign};
use codex_translate::{Error, ErrorKind, Retry};
use codex_upstream::TransportChoice;
use serde_json::{Value, json};

use crate::support::{Harness, ask, tokens_of};

/// What a client sees of a fault, and the number of requests to the backend.
#[derive(Debug, PartialEq)]
struct Seen {
    status: u16,
    kind: Value,
    code: Value,
    should_retry: Option<String>,
    retry_after: Option<String>,
    is_sent_again: bool,
}

#[tokio::test]
async fn each_fault_is_the_same_as_a_status_in_a_stream_and_in_a_frame() {
    for fault in Fault::ALL {
        for (transport, scenario) in forms(fault) {
            let mut expected = expected(fault);
            if !scenario.starts_with("refused") && fault.retry == Retry::AfterDelay {
                // Retried once and not four times, so the client's own retries are welcome.
                expected.should_retry = None;
            }
            assert_eq!(seen(transport, &scenario).await, expected, "{transport:?} {scenario}");
        }
    }
}

#[tokio::test]
async fn a_delay_is_the_same_in_every_form() {
    let error = json!({"code": "rate_limit_exceeded", "message": "Please try again in 11.054s."});
    let fault = Fault::ALL.iter().find(|fault| fault.sign == Sign::Code("rate_limit_exceeded")).unwrap();
    for (transport, scenario) in spelled(fault.status, &error, true) {
        assert_eq!(seen(transport, &scenario).await.retry_after.as_deref(), Some("12"), "{transport:?} {scenario}");
    }
}

/// Unknown codes are passed on; the status, if there is one, determines the kind.
#[tokio::test]
async fn an_unknown_code_survives_in_every_form() {
    let error = json!({"code": "a_code_of_tomorrow", "message": "m"});
    for (transport, scenario) in spelled(400, &error, false) {
        let seen = seen(transport, &scenario).await;
        assert_eq!((seen.status, seen.code), (400, json!("a_code_of_tomorrow")), "{transport:?} {scenario}");
    }
    let seen = seen(TransportChoice::Http, &format!("failed-first={error}")).await;
    assert_eq!((seen.status, seen.code, seen.is_sent_again), (502, json!("a_code_of_tomorrow"), false));
}

/// Returns the forms of a fault: the transport to the backend, and the scenario that makes the simulator send it.
fn forms(fault: &Fault) -> Vec<(TransportChoice, String)> {
    let error = match fault.sign {
        Sign::Text(parts) => json!({"code": null, "message": parts.join(" ")}),
        Sign::Code(code) => json!({"code": code, "message": "m"}),
        Sign::Status(..) => json!({"code": null, "message": "m"}),
        Sign::Class(class) => json!({"type": class, "message": "m"}),
    };
    spelled(fault.status, &error, !matches!(fault.sign, Sign::Status(..)))
}

/// `is_enough`: the error object identifies the fault without a status.
fn spelled(status: u16, error: &Value, is_enough: bool) -> Vec<(TransportChoice, String)> {
    let body = json!({"error": error});
    let event = json!({"status": status, "error": error});
    let mut forms = vec![
        (TransportChoice::Http, format!("refused={status} {body}")),
        (TransportChoice::Http, format!("error-first={event}")),
        (TransportChoice::WebSocket, format!("refused={status} {body}")),
    ];
    if is_enough {
        forms.push((TransportChoice::Http, format!("failed-first={error}")));
        forms.push((TransportChoice::WebSocket, format!("failed-first={error}")));
    }
    forms
}

fn expected(fault: &Fault) -> Seen {
    let own = match fault.sign {
        Sign::Code(code) => Some(code),
        Sign::Text(_) | Sign::Status(..) | Sign::Class(_) => None,
    };
    let mut error = Error::new(fault.kind, "m");
    if let Some(code) = fault.code.or(own) {
        error = error.with_code(code);
    }
    let body = serde_json::to_value(error.body()).unwrap();
    let is_final = matches!(fault.kind, ErrorKind::UsageLimit | ErrorKind::QuotaExceeded);
    Seen {
        status: error.status_hint(),
        kind: body["error"]["type"].clone(),
        code: body["error"]["code"].clone(),
        should_retry: (is_final || fault.retry == Retry::AfterDelay).then(|| "false".to_owned()),
        retry_after: None,
        is_sent_again: fault.retry != Retry::Never,
    }
}

async fn seen(transport: TransportChoice, scenario: &str) -> Seen {
    let sim = Sim::start(SimConfig::default()).await.unwrap();
    let store = codex_auth::MemoryStore::with_tokens(tokens_of(&sim));
    let proxy = Harness::start_by(transport, sim, store, None).await;
    let reply = proxy.post("/v1/chat/completions", &ask(&format!("[sim:{scenario}]"))).await;
    let error = reply.json()["error"].clone();
    Seen {
        status: reply.status.as_u16(),
        kind: error["type"].clone(),
        code: error["code"].clone(),
        should_retry: reply.header("x-should-retry").map(str::to_owned),
        retry_after: reply.header("retry-after").map(str::to_owned),
        is_sent_again: proxy.turns().len() > 1,
    }
}
