//! The record of one request, from its head to the last byte of its reply.
//!
//! A [`RequestRecord`] is a handle that everything involved in a request writes to; it never holds the content of a
//! request or of a reply.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use codex_client::{ReplyObserver, TurnInfo};
use codex_translate::{Error, Origin, Summary, Usage};
use http::HeaderMap;
use http::header::USER_AGENT;
use tokio::time::Instant;

use crate::sync::lock;

/// The maximum length of a recorded text of a client or of the backend.
const TEXT_CHARS: usize = 64;

/// A request in progress. Clones are the same record.
#[derive(Clone, Debug)]
pub struct RequestRecord(Arc<RecordInner>);

#[derive(Debug)]
struct RecordInner {
    info: RequestInfo,
    started: Instant,
    started_at: SystemTime,
    state: Mutex<RecordState>,
}

/// What a request's head reveals.
#[derive(Clone, Debug)]
pub struct RequestInfo {
    /// The client's own id of the request, or the generated one.
    pub request_id: String,
    /// The endpoint.
    pub endpoint: &'static str,
    /// The client's product, as in `OpenAI/Python`.
    pub client: Option<String>,
    /// Whether it is sent automatically, again and again: a probe, a scrape, the status page's own.
    pub is_routine: bool,
}

/// What becomes known while the request is handled.
#[derive(Clone, Debug, Default)]
struct RecordState {
    model: Option<RequestedModel>,
    effort: Option<String>,
    notices: usize,
    is_stream: bool,
    first_byte: Option<Duration>,
    status: Option<u16>,
    end: ReplyEnd,
}

#[derive(Clone, Debug)]
struct RequestedModel {
    slug: String,
    is_known: bool,
}

/// How the reply ended, as far as its producer knows.
#[derive(Clone, Debug, Default)]
enum ReplyEnd {
    #[default]
    Open,
    Complete {
        finish: &'static str,
        usage: Option<Usage>,
    },
    Failed {
        code: String,
        cause: Option<String>,
        is_own: bool,
    },
}

/// Everything known of a request at one moment: this is logged, counted and shown.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// The request's head.
    pub info: RequestInfo,
    /// When the request arrived.
    pub started_at: SystemTime,
    /// How long it has taken so far.
    pub total: Duration,
    /// The time to the first output.
    pub first_byte: Option<Duration>,
    /// The model that it is sent to, once that is known.
    pub model: Option<String>,
    /// Whether the account's catalogue has that model.
    pub is_known_model: bool,
    /// The requested reasoning effort.
    pub effort: Option<String>,
    /// Whether the reply is a stream.
    pub is_stream: bool,
    /// The status, once it was sent.
    pub status: Option<u16>,
    /// How the reply ended: a finish reason, or `error`, `client_gone` or `panic`. `None` if there was nothing to
    /// finish.
    pub finish: Option<&'static str>,
    /// The tokens used.
    pub usage: Option<Usage>,
    /// How many notices the reply carries.
    pub notices: usize,
    /// The code of the error, and the parameter at fault.
    pub error: Option<String>,
    /// The error message, unless the client's own request is at fault: such messages can quote it.
    pub cause: Option<String>,
    /// Whether the client's own request is at fault.
    pub is_own_error: bool,
}

impl RequestInfo {
    /// Reads the client's product from the headers.
    pub fn client(headers: &HeaderMap) -> Option<String> {
        let product = headers.get(USER_AGENT)?.to_str().ok()?.split_ascii_whitespace().next()?;
        Some(bounded(product))
    }
}

impl RequestRecord {
    /// Starts the record of a request.
    pub fn new(info: RequestInfo, started_at: SystemTime) -> Self {
        Self(Arc::new(RecordInner { info, started: Instant::now(), started_at, state: Mutex::default() }))
    }

    /// Records the model, whether the catalogue has it, the effort, and how much was changed in translation.
    pub fn set_model(&self, info: &TurnInfo) {
        let mut state = self.state();
        state.model = Some(RequestedModel { slug: bounded(&info.model), is_known: info.is_known_model });
        state.effort = info.effort.as_ref().map(|effort| bounded(effort.as_str()));
        state.notices = info.notices.len();
    }

    /// Records that the reply is a stream: there the first output counts, not a keepalive before it.
    pub fn set_stream(&self) {
        self.state().is_stream = true;
    }

    /// Records that output of the reply went out.
    pub fn sent(&self) {
        let elapsed = self.0.started.elapsed();
        self.state().first_byte.get_or_insert(elapsed);
    }

    /// Records that a part of the body went out: in a reply that is not a stream, the first one is the first output.
    pub(super) fn part_sent(&self) {
        if !self.state().is_stream {
            self.sent();
        }
    }

    /// Records the status of the reply.
    pub(super) fn answered(&self, status: u16) {
        self.state().status = Some(status);
    }

    /// Records that the reply is complete.
    pub fn complete(&self, summary: &Summary) {
        self.state().end = ReplyEnd::Complete { finish: summary.finish.as_str(), usage: summary.usage };
    }

    /// Records why the reply is incomplete.
    pub fn fail(&self, error: &Error) {
        let code = bounded(error.code().unwrap_or("invalid_request"));
        let is_own = error.origin() == Origin::Client;
        let code = match error.param() {
            Some(param) => format!("{code} ({})", bounded(param)),
            None => code,
        };
        self.state().end = ReplyEnd::Failed { code, cause: (!is_own).then(|| error.message().to_owned()), is_own };
    }

    /// Returns the request as it is now.
    pub fn entry(&self) -> LogEntry {
        let state = self.state().clone();
        let (usage, error, cause, is_own_error) = match state.end {
            ReplyEnd::Open => (None, None, None, false),
            ReplyEnd::Complete { usage, .. } => (usage, None, None, false),
            ReplyEnd::Failed { code, cause, is_own } => (None, Some(code), cause, is_own),
        };
        LogEntry {
            info: self.0.info.clone(),
            started_at: self.0.started_at,
            total: self.0.started.elapsed(),
            first_byte: state.first_byte,
            is_known_model: state.model.as_ref().is_some_and(|model| model.is_known),
            model: state.model.map(|model| model.slug),
            effort: state.effort,
            is_stream: state.is_stream,
            status: state.status,
            finish: None,
            usage,
            notices: state.notices,
            error,
            cause,
            is_own_error,
        }
    }

    /// Returns the request as it was at its end. `is_out` says whether the whole reply went out.
    pub(super) fn last_entry(&self, is_out: bool) -> LogEntry {
        let mut entry = self.entry();
        entry.finish = match &self.state().end {
            _ if std::thread::panicking() => Some("panic"),
            ReplyEnd::Failed { .. } => Some("error"),
            _ if !is_out => Some("client_gone"),
            ReplyEnd::Complete { finish, .. } => Some(finish),
            ReplyEnd::Open => (entry.status >= Some(400)).then_some("error"),
        };
        entry
    }

    fn state(&self) -> MutexGuard<'_, RecordState> {
        lock(&self.0.state)
    }
}

impl ReplyObserver for RequestRecord {
    fn sent(&self) {
        Self::sent(self);
    }

    fn completed(&self, summary: &Summary) {
        self.complete(summary);
    }

    fn failed(&self, error: &Error) {
        self.fail(error);
    }
}

/// Shortens a text from outside, and removes what is not valid in a log line or a table.
fn bounded(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TEXT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use codex_translate::{ErrorKind, Finish};

    use super::*;

    fn record() -> RequestRecord {
        RequestRecord::new(
            RequestInfo { request_id: "r".to_owned(), endpoint: "chat", client: None, is_routine: false },
            SystemTime::UNIX_EPOCH,
        )
    }

    fn client(agent: &str) -> Option<String> {
        let headers = HeaderMap::from_iter([(USER_AGENT, agent.parse().unwrap())]);
        RequestInfo::client(&headers)
    }

    #[test]
    fn a_client_is_identified_by_its_product() {
        assert_eq!(client("OpenAI/Python 2.8.0").as_deref(), Some("OpenAI/Python"));
        assert_eq!(client("codex_cli_rs/0.169.0 (Debian 12; x86_64) xterm").as_deref(), Some("codex_cli_rs/0.169.0"));
        assert_eq!(client(&"x".repeat(500)).unwrap().len(), TEXT_CHARS);
        assert_eq!(client(" "), None);
        assert_eq!(RequestInfo::client(&HeaderMap::new()), None);
    }

    #[test]
    fn a_reply_is_finished_when_it_is_out_and_not_before() {
        let whole = record();
        whole.complete(&Summary::new(Finish::Length, None));
        assert_eq!(whole.last_entry(false).finish, Some("client_gone"));
        assert_eq!(whole.last_entry(true).finish, Some("length"));
        let broken = record();
        broken.fail(&Error::new(ErrorKind::Truncated, "broke off"));
        assert_eq!((broken.last_entry(false).finish, broken.last_entry(true).finish), (Some("error"), Some("error")));
        assert_eq!((record().last_entry(false).finish, record().last_entry(true).finish), (Some("client_gone"), None));
    }

    #[test]
    fn messages_that_can_quote_a_request_are_not_recorded() {
        let own = record();
        own.fail(&Error::invalid("seed", "`a secret plan` is not a number"));
        let entry = own.entry();
        assert_eq!((entry.error.as_deref(), entry.cause), (Some("invalid_request (seed)"), None));
        let other = record();
        other.fail(&Error::new(ErrorKind::Timeout, "no reply within 30 s"));
        let entry = other.entry();
        assert_eq!(
            (entry.error.as_deref(), entry.cause.as_deref()),
            (Some("upstream_timeout"), Some("no reply within 30 s"))
        );
    }
}
