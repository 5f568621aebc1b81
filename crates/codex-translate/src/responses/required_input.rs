//! What a client owes for an item of a response before the conversation can continue.

use serde_json::value::RawValue;

use crate::json::{Text, members, word};

/// Returns the input that an output item, as JSON, requires of the client: the result of its call or its approval,
/// without the result itself, as `response.steer.pending` lists it. `None` if it requires none: it is not a call, or
/// the backend runs it.
///
/// ```
/// use codex_translate::responses::required_input;
///
/// let call = r#"{"type":"function_call","id":"fc_1","call_id":"call_1","name":"weather","arguments":"{}"}"#;
/// let stub = r#"{"type":"function_call_output","call_id":"call_1","name":"weather"}"#;
/// assert_eq!(required_input(call).as_deref(), Some(stub));
/// assert_eq!(required_input(r#"{"type":"web_search_call","id":"ws_1"}"#), None);
/// ```
pub fn required_input(item: &str) -> Option<String> {
    let [kind, id, call_id, name, execution, environment] =
        members(item, ["type", "id", "call_id", "name", "execution", "environment"]).ok()?;
    let text = |raw: Option<&RawValue>| Text::Plain(&word(raw).unwrap_or_default()).to_json();
    let (kind, key, value, rest) = match &*word(kind)? {
        "function_call" => ("function_call_output", "call_id", call_id, format!(",\"name\":{}", text(name))),
        "custom_tool_call" => ("custom_tool_call_output", "call_id", call_id, String::new()),
        "computer_call" => ("computer_call_output", "call_id", call_id, String::new()),
        "local_shell_call" => ("local_shell_call_output", "call_id", call_id, String::new()),
        "apply_patch_call" => ("apply_patch_call_output", "call_id", call_id, String::new()),
        "shell_call" if !is_container(environment) => ("shell_call_output", "call_id", call_id, String::new()),
        "tool_search_call" if word(execution).as_deref() == Some("client") => {
            ("tool_search_output", "call_id", call_id, ",\"execution\":\"client\"".to_owned())
        }
        "mcp_approval_request" => ("mcp_approval_response", "approval_request_id", id, String::new()),
        _ => return None,
    };
    Some(format!("{{\"type\":\"{kind}\",\"{key}\":{}{rest}}}", text(value)))
}

/// Returns whether a shell runs in a container of the backend.
fn is_container(environment: Option<&RawValue>) -> bool {
    let kind = environment.and_then(|environment| members(environment.get(), ["type"]).ok());
    kind.and_then(|[kind]| word(kind)).is_some_and(|kind| kind.starts_with("container"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn each_kind_of_call_has_its_stub() {
        let rows = [
            (json!({"type": "custom_tool_call", "call_id": "c", "name": "n"}), "custom_tool_call_output"),
            (json!({"type": "computer_call", "call_id": "c"}), "computer_call_output"),
            (json!({"type": "local_shell_call", "call_id": "c"}), "local_shell_call_output"),
            (json!({"type": "shell_call", "call_id": "c", "environment": {"type": "local"}}), "shell_call_output"),
            (json!({"type": "shell_call", "call_id": "c", "environment": null}), "shell_call_output"),
            (json!({"type": "apply_patch_call", "call_id": "c"}), "apply_patch_call_output"),
        ];
        for (item, kind) in rows {
            let stub: Value = serde_json::from_str(&required_input(&item.to_string()).unwrap()).unwrap();
            assert_eq!(stub, json!({"type": kind, "call_id": "c"}), "{item}");
        }
        let search = json!({"type": "tool_search_call", "call_id": "c", "execution": "client"}).to_string();
        let stub = required_input(&search).unwrap();
        assert_eq!(stub, r#"{"type":"tool_search_output","call_id":"c","execution":"client"}"#);
        let approval = required_input(&json!({"type": "mcp_approval_request", "id": "mcpr_1"}).to_string()).unwrap();
        assert_eq!(approval, r#"{"type":"mcp_approval_response","approval_request_id":"mcpr_1"}"#);
    }

    #[test]
    fn what_the_backend_runs_requires_nothing() {
        for item in [
            json!({"type": "message", "role": "assistant", "content": []}),
            json!({"type": "reasoning", "id": "rs_1", "summary": []}),
            json!({"type": "image_generation_call", "id": "ig_1"}),
            json!({"type": "code_interpreter_call", "id": "ci_1"}),
            json!({"type": "tool_search_call", "call_id": "c", "execution": "server"}),
            json!({"type": "shell_call", "call_id": "c", "environment": {"type": "container_reference"}}),
            json!({"id": "x"}),
            json!([]),
        ] {
            assert_eq!(required_input(&item.to_string()), None, "{item}");
        }
    }
}
