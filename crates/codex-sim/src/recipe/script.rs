//! The whole event sequence of one reply.

use std::iter::once;

use serde_json::{Map, Value, json};

use crate::backend::quota::Quota;
use crate::ids::ResponseIds;
use crate::recipe::event::Event;
use crate::recipe::items::{Events, Placed};
use crate::recipe::outputs::Output;
use crate::recipe::usage::Usage;
use crate::scenario::{Ending, Plan};

/// A reply ready to be streamed.
#[derive(Debug)]
pub(crate) struct Script {
    response: Map<String, Value>,
    items: Vec<Placed>,
    ending: Ending,
    usage: Usage,
    full_output: bool,
    unknown: bool,
    completed_at: u64,
    private: Vec<Event>,
}

impl Script {
    pub(crate) fn new(
        response: Map<String, Value>,
        outputs: Vec<Output>,
        usage: Usage,
        plan: &Plan,
        obfuscate: bool,
        ids: &mut ResponseIds,
    ) -> Self {
        let mut items: Vec<Placed> = Vec::with_capacity(outputs.len());
        for (index, output) in outputs.into_iter().enumerate() {
            items.push(Placed::new(output, index, ids, obfuscate));
        }
        if matches!(plan.ending, Ending::Incomplete(_)) {
            items = broken_off(items);
        }
        let completed_at = response.get("created_at").and_then(Value::as_u64).unwrap_or(0) + 1;
        Self {
            response,
            items,
            ending: plan.ending.clone(),
            usage,
            full_output: plan.framing.full_output,
            unknown: plan.framing.unknown,
            completed_at,
            private: Vec::new(),
        }
    }

    /// Puts the private events of `wire.md` §3.4 before `response.created`.
    pub(crate) fn with_private_events(mut self, quota: Quota, plan_type: &str, now: u64) -> Self {
        let id = self.response.get("id").cloned().unwrap_or(Value::Null);
        self.private = vec![
            Event::unnumbered("codex.response.metadata", json!({"metadata": {"shard": 7}})),
            Event::unnumbered("codex.rate_limits", quota.event(plan_type, now)),
            Event::unnumbered(
                "response.metadata",
                json!({"response_id": id, "metadata": {"openai_verification_recommendation": []}}),
            ),
        ];
        self
    }

    /// The events in order, the item events made as they are asked for.
    pub(crate) fn events(self) -> Events {
        let terminal = self.terminal();
        match self.ending {
            // §3.3 item 10: the first event of a 200 is the error.
            Ending::ErrorFirst { .. } | Ending::Overloaded => Box::new(once(terminal)),
            Ending::Completed | Ending::Incomplete(_) | Ending::Failed(_) => {
                let opening = ["response.created", "response.in_progress"]
                    .map(|kind| Event::new(kind, json!({"response": self.response})));
                let items = self.items.into_iter().flat_map(|item| item.events());
                Box::new(self.private.into_iter().chain(opening).chain(items).chain(once(terminal)))
            }
        }
    }

    fn terminal(&self) -> Event {
        match &self.ending {
            Ending::Completed => self.ended("response.completed", "completed", Value::Null),
            Ending::Incomplete(reason) => self.ended("response.incomplete", "incomplete", json!({"reason": reason})),
            Ending::Failed(code) => self.failed(code),
            Ending::Overloaded => self.failed("server_is_overloaded"),
            Ending::ErrorFirst { flat } => error_event(*flat),
        }
    }

    fn ended(&self, kind: &'static str, status: &str, incomplete_details: Value) -> Event {
        let mut response = self.response.clone();
        let output = if self.full_output { self.items.iter().map(Placed::done).collect() } else { json!([]) };
        let changes = [
            ("status", json!(status)),
            ("incomplete_details", incomplete_details),
            ("output", output),
            ("service_tier", json!("default")),
            ("usage", self.usage.to_json(self.unknown)),
        ];
        for (key, value) in changes {
            response.insert(key.to_owned(), value);
        }
        if self.unknown {
            let newer = json!({"completed_at": self.completed_at, "end_turn": true, "frequency_penalty": 0.0,
                               "presence_penalty": 0.0});
            if let Value::Object(newer) = newer {
                response.extend(newer);
            }
        }
        Event::new(kind, json!({"response": response}))
    }

    fn failed(&self, code: &str) -> Event {
        let mut response = self.response.clone();
        response.insert("status".to_owned(), json!("failed"));
        response.insert("error".to_owned(), json!({"code": code, "message": failure_message(code)}));
        Event::new("response.failed", json!({"response": response}))
    }
}

/// Marks the last item, on which the reply broke off, as incomplete.
fn broken_off(mut items: Vec<Placed>) -> Vec<Placed> {
    let last = items.pop().map(Placed::incomplete);
    items.extend(last);
    items
}

/// The messages of `wire.md` §3.6.
pub(crate) fn failure_message(code: &str) -> &'static str {
    match code {
        "context_length_exceeded" => {
            "Your input exceeds the context window of this model. Please adjust your input and try again."
        }
        "insufficient_quota" => "You exceeded your current quota, please check your plan and billing details.",
        "usage_not_included" => "To use Codex with your ChatGPT plan, upgrade to Plus.",
        "cyber_policy" => "This request has been flagged for possible cybersecurity risk.",
        "bio_policy" => "This request has been flagged for possible biological risk.",
        "invalid_prompt" => "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
        "server_is_overloaded" | "slow_down" => "Our servers are currently overloaded. Please try again later.",
        "rate_limit_exceeded" => {
            "Rate limit reached for gpt-5.1 in organization org-simulated on tokens per min (TPM): Limit 30000, Used 22999, \
             Requested 12528. Please try again in 11.054s. Visit https://platform.openai.com/account/rate-limits to learn \
             more."
        }
        "previous_response_not_found" => "Previous response not found.",
        "invalid_encrypted_content" => "The encrypted content could not be verified.",
        _ => "The server had an error while processing your request. Sorry about that!",
    }
}

fn error_event(flat: bool) -> Event {
    let message = failure_message("server_error");
    if flat {
        return Event::new("error", json!({"code": "server_error", "message": message, "param": null}));
    }
    let error = json!({"type": "server_error", "code": "server_error", "message": message, "param": null});
    Event::new("error", json!({"status": 500, "error": error}))
}
