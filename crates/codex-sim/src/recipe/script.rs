//! The complete event sequence of one reply.

use std::iter::once;

use serde_json::{Map, Value, json};

use crate::ids::ResponseIds;
use crate::recipe::echo;
use crate::recipe::error_event::{error_event, response_error};
use crate::recipe::event::Event;
use crate::recipe::items::{Events, OutputItem};
use crate::recipe::outputs::Output;
use crate::recipe::quota_snapshot::QuotaSnapshot;
use crate::recipe::usage::{Usage, image_usage};
use crate::scenario::plan::{Ending, Plan};

/// A reply that is ready to be streamed.
#[derive(Debug)]
pub(crate) struct Script {
    response: Map<String, Value>,
    items: Vec<OutputItem>,
    ending: Ending,
    usage: Usage,
    full_output: bool,
    private: bool,
    late_limits: Option<u32>,
    snapshot: QuotaSnapshot,
}

impl Script {
    pub(crate) fn new(
        response: Map<String, Value>,
        outputs: Vec<Output>,
        usage: Usage,
        plan: &Plan,
        obfuscate: bool,
        snapshot: QuotaSnapshot,
        ids: &mut ResponseIds,
    ) -> Self {
        let mut items: Vec<OutputItem> = Vec::with_capacity(outputs.len());
        for (index, output) in outputs.into_iter().enumerate() {
            items.push(OutputItem::new(output, index, ids, obfuscate));
        }
        if matches!(plan.ending, Ending::Incomplete(_)) {
            items = mark_last_incomplete(items);
        }
        Self {
            response,
            items,
            ending: plan.ending.clone(),
            usage,
            full_output: plan.framing.full_output,
            private: plan.framing.unknown || plan.framing.metadata,
            late_limits: plan.framing.late_limits,
            snapshot,
        }
    }

    /// Returns the usage of the reply without its output.
    pub(crate) fn input_usage(&self) -> Usage {
        self.usage.with_output(0, 0)
    }

    /// Returns the events in order; item events are built on demand.
    pub(crate) fn events(self) -> Events {
        let terminal = self.terminal();
        match self.ending {
            // §3.3 item 10: the first event of a 200 is the error.
            Ending::ErrorFirst(_) | Ending::FailedFirst(_) => Box::new(once(terminal)),
            Ending::Completed | Ending::Incomplete(_) | Ending::Failed(_) | Ending::Error(_) => {
                let private = if self.private { self.private_events() } else { Vec::new() };
                let opening = ["response.created", "response.in_progress"]
                    .map(|kind| Event::new(kind, json!({"response": self.response})));
                let items = self.items.into_iter().flat_map(|item| item.events());
                let late = self.late_limits.map(|percent| self.snapshot.limits_event(f64::from(percent)));
                Box::new(private.into_iter().chain(opening).chain(items).chain(late).chain(once(terminal)))
            }
        }
    }

    /// Returns the events of `docs/backend.md` §3.4 that may come before `response.created`.
    fn private_events(&self) -> Vec<Event> {
        let id = self.response.get("id").cloned().unwrap_or(Value::Null);
        vec![
            Event::unnumbered("codex.response.metadata", json!({"metadata": {"shard": 7}})),
            Event::unnumbered("codex.rate_limits", self.snapshot.quota.event(&self.snapshot.plan_type)),
            Event::new(
                "response.metadata",
                json!({
                    "response_id": id,
                    "headers": {"OpenAI-Model": self.response.get("model")},
                    "metadata": {"openai_verification_recommendation": []},
                }),
            ),
        ]
    }

    fn terminal(&self) -> Event {
        match &self.ending {
            Ending::Completed => self.ended("response.completed", "completed", Value::Null),
            Ending::Incomplete(reason) => self.ended("response.incomplete", "incomplete", json!({"reason": reason})),
            Ending::Failed(code) | Ending::FailedFirst(code) => self.failed(code),
            Ending::Error(form) | Ending::ErrorFirst(form) => error_event(form, &self.snapshot),
        }
    }

    /// Returns the finished response.
    fn ended(&self, kind: &'static str, status: &str, incomplete_details: Value) -> Event {
        let output = if self.full_output { self.items.iter().map(OutputItem::done).collect() } else { json!([]) };
        let end_turn = !self.items.iter().any(OutputItem::is_call);
        let now = self.snapshot.now + 1;
        let mut response =
            echo::finished(&self.response, status, incomplete_details, output, self.usage, end_turn, now);
        if self.items.iter().any(OutputItem::is_image) {
            response.insert("tool_usage".to_owned(), json!({"image_gen": image_usage()}));
        }
        Event::new(kind, json!({"response": response}))
    }

    fn failed(&self, code: &str) -> Event {
        let mut response = self.response.clone();
        response.insert("status".to_owned(), json!("failed"));
        response.insert("error".to_owned(), response_error(code));
        Event::new("response.failed", json!({"response": response}))
    }
}

/// Marks the last item as incomplete.
fn mark_last_incomplete(mut items: Vec<OutputItem>) -> Vec<OutputItem> {
    let last = items.pop().map(OutputItem::incomplete);
    items.extend(last);
    items
}
