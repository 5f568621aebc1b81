//! One log line for each request, written when its reply ends, however it ends.

use std::time::Instant;

use codex_translate::{Error, Notice, Summary};

/// What is known of a request and its reply. Writes its line when it is dropped.
#[derive(Debug)]
pub struct Record {
    request_id: String,
    endpoint: &'static str,
    model: String,
    started: Instant,
    first_byte_ms: Option<u128>,
    notices: usize,
    outcome: Outcome,
}

/// How the reply ended.
#[derive(Debug)]
enum Outcome {
    /// It has not; a record dropped in this state is that of a client that left.
    Open,
    Complete {
        finish: String,
        input_tokens: u64,
        cached_tokens: u64,
        output_tokens: u64,
    },
    Failed {
        status: u16,
        error: String,
    },
}

impl Record {
    /// Starts the record of a request for `model`.
    pub fn new(request_id: String, endpoint: &'static str, model: &str, notices: &[Notice]) -> Self {
        Self {
            request_id,
            endpoint,
            model: model.to_owned(),
            started: Instant::now(),
            first_byte_ms: None,
            notices: notices.len(),
            outcome: Outcome::Open,
        }
    }

    /// Notes that bytes of the reply went out.
    pub fn sent(&mut self) {
        if self.first_byte_ms.is_none() {
            self.first_byte_ms = Some(self.started.elapsed().as_millis());
        }
    }

    /// Notes that the reply is whole.
    pub fn complete(&mut self, summary: &Summary) {
        let usage = summary.usage.as_ref();
        self.outcome = Outcome::Complete {
            finish: summary.finish.to_string(),
            input_tokens: usage.map_or(0, |usage| usage.input_tokens),
            cached_tokens: usage.map_or(0, |usage| usage.cached_tokens),
            output_tokens: usage.map_or(0, |usage| usage.output_tokens),
        };
    }

    /// Notes why the reply is not whole.
    pub fn fail(&mut self, error: &Error) {
        self.outcome = Outcome::Failed { status: error.status_hint(), error: error.to_string() };
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let Self { request_id, endpoint, model, first_byte_ms, notices, .. } = self;
        let total_ms = self.started.elapsed().as_millis();
        let first_byte_ms = first_byte_ms.unwrap_or(total_ms);
        match &self.outcome {
            Outcome::Open => {
                tracing::info!(%request_id, endpoint, model, total_ms, "the client left before the end");
            }
            Outcome::Complete { finish, input_tokens, cached_tokens, output_tokens } => tracing::info!(
                %request_id, endpoint, model, first_byte_ms, total_ms, finish, input_tokens, cached_tokens, output_tokens,
                notices, "answered"
            ),
            Outcome::Failed { status, error } => {
                tracing::warn!(%request_id, endpoint, model, first_byte_ms, total_ms, status, error, "failed");
            }
        }
    }
}
