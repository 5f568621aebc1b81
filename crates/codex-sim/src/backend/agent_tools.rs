//! The tools that the official client runs at the backend: its web search, its history and its notes
//! (`docs/backend.md` §2.1). Of history and notes only the names and the envelope are known.

use http::Response;
use serde_json::{Map, Value, json};

use crate::backend::responses::object;
use crate::backend::unary::{self, Accepted};
use crate::exchange::inbound::Inbound;
use crate::exchange::reply::{Body, Dropped};
use crate::protocol::encrypted_reasoning;
use crate::protocol::refusal::Refusal;
use crate::state::SimState;

const OPERATIONS: [&str; 10] = [
    "history/v2/list_windows",
    "history/v2/list_items",
    "history/v2/read_item",
    "history/v2/search_contents",
    "notes/v2/list_files_by_prefix",
    "notes/v2/read_file",
    "notes/v2/search_contents",
    "notes/v2/append_to_file",
    "notes/v2/write_file",
    "notes/v2/thread_hint",
];

/// Returns whether there is a tool at this path below `/backend-api/codex/alpha/`.
pub(crate) fn exists(tool: &str) -> bool {
    tool == "search" || OPERATIONS.contains(&tool)
}

/// Answers `POST /backend-api/codex/alpha/search`.
pub(crate) async fn search(inbound: &Inbound, state: &SimState) -> Result<Response<Body>, Dropped> {
    let query = query(inbound);
    unary::answer(inbound, &query, state, |grant| {
        let body = object(&inbound.body)?;
        required_text(body, "id")?;
        let model = required_text(body, "model")?;
        if state.catalogue.find(model).is_none() {
            return Err(Refusal::error(Some("model"), Some("model_not_found"), format!("Model not found {model}")));
        }
        let output = format!("Example Weather (https://example.com/weather): it was sunny. Asked: {query}");
        let found = json!({
            "type": "text_result", "url": "https://example.com/weather", "title": "Example Weather",
            "snippet": "It was sunny.",
        });
        let encrypted = encrypted_reasoning::encrypt(&grant.account_id, model, &output);
        let reply = json!({"encrypted_output": encrypted, "output": output, "results": [found]});
        Ok(Accepted { model: model.to_owned(), reply })
    })
    .await
}

/// Answers an operation on history or notes, the path below `/backend-api/codex/alpha/`: both are empty.
pub(crate) async fn history_or_notes(
    operation: &str,
    inbound: &Inbound,
    state: &SimState,
) -> Result<Response<Body>, Dropped> {
    unary::answer(inbound, "", state, |_| {
        let body = object(&inbound.body)?;
        let context = body.get("context").ok_or_else(|| Refusal::missing("context"))?;
        let Some(context) = context.as_object() else {
            return Err(Refusal::wrong_type("context", "an object", context));
        };
        required_text(context, "session_id")?;
        required_text(context, "current_agent_name")?;
        let reply = match operation {
            "notes/v2/thread_hint" | "history/v2/read_item" | "notes/v2/read_file" => json!({"text": ""}),
            "notes/v2/append_to_file" | "notes/v2/write_file" => json!({"ok": true}),
            _ => json!({"results": [], "n_returned": 0}),
        };
        Ok(Accepted { model: String::new(), reply })
    })
    .await
}

/// Returns what is searched for: the first query, or the input if it is a text.
fn query(inbound: &Inbound) -> String {
    let body = inbound.body.json();
    let first = body.and_then(|body| body.pointer("/commands/search_query/0/q").or_else(|| body.get("input")));
    first.and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn required_text<'a>(object: &'a Map<String, Value>, key: &str) -> Result<&'a str, Refusal> {
    match object.get(key) {
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(Refusal::wrong_type(key, "a string", other)),
        None => Err(Refusal::missing(key)),
    }
}
