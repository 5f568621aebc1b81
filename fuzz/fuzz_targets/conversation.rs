//! Conversations of well-formed and unknown items, parts and ids that repeat, in both dialects: each is rejected with
//! an error that names a parameter, or the backend accepts it, it has all that was said, and the paths of errors lead
//! to what the caller wrote.
#![no_main]

use arbitrary::Arbitrary;
use codex_translate::{Error, Options, Profile, Translated, chat, normalise, responses, to_responses};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

#[path = "../../crates/codex-translate/tests/it/backend.rs"]
mod backend;
#[path = "../../crates/codex-translate/tests/it/mapped.rs"]
mod mapped;
#[path = "../../crates/codex-translate/tests/it/schema_oracle.rs"]
#[allow(dead_code, reason = "its other half is about instances")]
mod schema_oracle;

#[derive(Arbitrary, Debug)]
enum Part {
    Text { again: bool },
    Refusal,
    Image { form: u8 },
    File { form: u8 },
    Empty,
    Unknown { kind: u8 },
}

#[derive(Arbitrary, Debug)]
enum Item {
    Message { id: u8, role: u8, parts: Vec<Part> },
    Said { id: u8, role: u8 },
    Call { id: u8, call: u8, is_custom: bool },
    Output { id: u8, call: u8, is_custom: bool, parts: Option<Vec<Part>> },
    Reasoning { id: u8, is_encrypted: bool },
    Image { id: u8, status: u8, result: u8 },
    Reference { id: u8, kind: u8 },
    Unknown { id: u8, kind: u8 },
}

/// Writes a conversation in one of the dialects, and remembers what was said in it.
struct Writer {
    is_chat: bool,
    said: Vec<String>,
}

impl Writer {
    fn text(&mut self) -> String {
        let text = format!("<text {}>", self.said.len());
        self.said.push(text.clone());
        text
    }

    fn part(&mut self, part: &Part, role: &str) -> Value {
        let kind = match (self.is_chat, role) {
            (true, _) => "text",
            (false, "assistant") => "output_text",
            (false, _) => "input_text",
        };
        match part {
            Part::Text { again: true } => json!({"type": kind, "text": "again"}),
            Part::Text { again: false } => json!({"type": kind, "text": self.text()}),
            Part::Refusal => json!({"type": "refusal", "refusal": self.text()}),
            Part::Image { form } => match form % 4 {
                0 => json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}),
                1 => json!({"type": "input_image", "image_url": "data:image/png;base64,iVBO"}),
                2 => json!({"type": "image", "data": "iVBO", "mimeType": "image/png"}),
                _ => json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}),
            },
            Part::File { form } => match form % 3 {
                0 => {
                    json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}})
                }
                1 => {
                    json!({"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"})
                }
                _ => json!({"type": "resource", "resource": {"uri": "file:///a", "text": self.text()}}),
            },
            Part::Empty => json!({"type": kind, "text": ""}),
            Part::Unknown { kind } => json!({"type": format!("mystery_{}", kind % 3), "value": self.text()}),
        }
    }

    fn parts(&mut self, parts: &[Part], role: &str) -> Vec<Value> {
        parts.iter().map(|part| self.part(part, role)).collect()
    }

    fn item(&mut self, item: &Item) -> Value {
        let role = |role: &u8| ["user", "assistant", "system", "developer"][usize::from(role % 4)];
        let id = |prefix: &str, id: &u8| match id % 8 {
            0 => Value::Null,
            1 => "".into(),
            7 => "own".into(),
            number => format!("{prefix}_{number}").into(),
        };
        let call = |call: &u8| format!("call_{}", call % 4);
        match item {
            Item::Message { id: of, role: by, parts } => {
                json!({"type": "message", "id": id("msg", of), "role": role(by), "content": self.parts(parts, role(by))})
            }
            Item::Said { id: of, role: by } => {
                json!({"type": "message", "id": id("msg", of), "role": role(by), "content": self.text()})
            }
            Item::Call { call: of, is_custom, .. } if self.is_chat => {
                let text = self.text();
                let call = if *is_custom {
                    json!({"id": call(of), "type": "custom", "custom": {"name": "f", "input": text}})
                } else {
                    json!({"id": call(of), "type": "function", "function": {"name": "f", "arguments": text}})
                };
                json!({"role": "assistant", "tool_calls": [call]})
            }
            Item::Call { id: of, call: by, is_custom: true } => json!({"type": "custom_tool_call", "id": id("ctc", of),
                "call_id": call(by), "name": "f", "input": self.text()}),
            Item::Call { id: of, call: by, is_custom: false } => json!({"type": "function_call", "id": id("fc", of),
                "call_id": call(by), "name": "f", "arguments": self.text()}),
            Item::Output { id: of, call: by, is_custom, parts } => {
                let output = match parts {
                    Some(parts) => Value::from(self.parts(parts, "tool")),
                    None => Value::from(self.text()),
                };
                if self.is_chat {
                    return json!({"role": "tool", "tool_call_id": call(by), "content": output});
                }
                let kind = if *is_custom { "custom_tool_call_output" } else { "function_call_output" };
                json!({"type": kind, "id": id("fco", of), "call_id": call(by), "output": output})
            }
            Item::Reasoning { .. } if self.is_chat => {
                json!({"role": "assistant", "content": self.text(), "reasoning_content": "thought"})
            }
            Item::Reasoning { id: of, is_encrypted } => json!({"type": "reasoning", "id": id("rs", of),
                "summary": [{"type": "summary_text", "text": "thought"}],
                "encrypted_content": is_encrypted.then_some("gAAA")}),
            Item::Image { .. } if self.is_chat => json!({"role": "assistant", "content": self.text(),
                "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}]}),
            Item::Image { id: of, status, result } => {
                let status = ["completed", "failed", "in_progress"][usize::from(status % 3)];
                let result = [Some("iVBO"), Some(""), None][usize::from(result % 3)];
                json!({"type": "image_generation_call", "id": id("ig", of), "status": status, "result": result})
            }
            Item::Reference { id: of, kind } => match kind % 4 {
                0 => json!({"type": "item_reference", "id": id("msg", of)}),
                1 => json!({"id": id("fc", of)}),
                2 => json!({"type": "reasoning", "id": id("rs", of)}),
                _ => json!({"type": "message", "id": id("msg", of)}),
            },
            Item::Unknown { id: of, kind } => {
                json!({"type": format!("mystery_{}", kind % 3), "id": id("my", of), "value": self.text()})
            }
        }
    }
}

fuzz_target!(|items: Vec<Item>| {
    let (profile, options) = (Profile::permissive("m"), Options::default());
    check(&items, true, |body| {
        chat::ChatRequest::from_json(body).and_then(|request| to_responses(request, &profile, &options))
    });
    check(&items, false, |body| {
        responses::ResponsesRequest::from_json(body).and_then(|request| normalise(request, &profile, &options))
    });
});

fn check(items: &[Item], is_chat: bool, translate: impl Fn(&[u8]) -> Result<Translated, Error>) {
    let mut writer = Writer { is_chat, said: Vec::new() };
    let items: Vec<_> = items.iter().map(|item| writer.item(item)).collect();
    let list = if is_chat { "messages" } else { "input" };
    let body = json!({"model": "m", list: items});
    let translated = match translate(body.to_string().as_bytes()) {
        Ok(translated) => translated,
        Err(error) => return assert!(error.param().is_some(), "{error:?} for {body}"),
    };
    let sent = translated.request.to_json();
    let text = String::from_utf8_lossy(&sent);
    let sent: Value = serde_json::from_slice(&sent).expect("JSON");
    backend::accepts(&sent);
    assert_eq!(mapped::astray(&body, &sent, &translated.plan.paths), None, "{body}");
    if translated.notices.is_empty() {
        let lost = writer.said.iter().find(|said| !text.contains(&**said));
        assert_eq!(lost, None, "{body} became {text}");
    }
}
