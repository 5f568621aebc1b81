//! What is known of one request, from its head to the last byte of its reply.
//!
//! A [`Record`] is a handle that those who handle the request write into; nothing in it is the content of a request or of a
//! reply. The [`Watch`] says when it is over: it lives in the reply's body, and so ends when the last byte is out or the client
//! is gone, however that comes about.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use codex_translate::{Error, Origin, Summary, Usage};
use http::header::USER_AGENT;
use http::{HeaderMap, Response};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;

use crate::reply::Body;
use crate::telemetry::request_log::Journal;

/// The longest text of a client or of the backend that is kept.
const TEXT_CHARS: usize = 64;

/// A request under way. Clones are the same record.
#[derive(Clone, Debug)]
pub struct Record(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    opening: Opening,
    started: Instant,
    started_at: SystemTime,
    found: Mutex<Found>,
}

/// What a request's head tells.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The id that the client gave or was given.
    pub request_id: String,
    /// Which endpoint it is for.
    pub endpoint: &'static str,
    /// The client's product, as in `OpenAI/Python`.
    pub client: Option<String>,
    /// Whether it is one of those that come by themselves, again and again: a probe, a scrape, the status page's own.
    pub is_routine: bool,
}

/// What turns out while it is handled.
#[derive(Clone, Debug, Default)]
struct Found {
    model: Option<ModelAsked>,
    effort: Option<String>,
    notices: usize,
    is_stream: bool,
    first_byte: Option<Duration>,
    status: Option<u16>,
    end: End,
}

#[derive(Clone, Debug)]
struct ModelAsked {
    slug: String,
    is_known: bool,
}

/// How the reply ended, as far as those know who make it.
#[derive(Clone, Debug, Default)]
enum End {
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

/// Everything there is to say of a request at one moment: what is logged, counted and shown.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What its head told.
    pub opening: Opening,
    /// When it came.
    pub started_at: SystemTime,
    /// How long it has taken so far.
    pub total: Duration,
    /// How long the first output took.
    pub first_byte: Option<Duration>,
    /// The model that is asked, once that is known.
    pub model: Option<String>,
    /// Whether the account's catalogue has that model.
    pub is_known_model: bool,
    /// The reasoning effort that is asked for.
    pub effort: Option<String>,
    /// Whether the reply is a stream.
    pub is_stream: bool,
    /// The status, once it is out.
    pub status: Option<u16>,
    /// How the reply ended: a finish reason, or `error`, `client_gone` or `panic`. `None` where nothing was to finish.
    pub finish: Option<&'static str>,
    /// What the reply cost.
    pub usage: Option<Usage>,
    /// How many notices the reply carries.
    pub notices: usize,
    /// The code of the error, and the parameter at fault.
    pub error: Option<String>,
    /// What is wrong, where that is not about the client's own request: messages about that can quote it.
    pub cause: Option<String>,
    /// Whether the error is the client's own.
    pub is_own_error: bool,
}

impl Opening {
    /// Reads what the headers tell of the client.
    pub fn client(headers: &HeaderMap) -> Option<String> {
        let product = headers.get(USER_AGENT)?.to_str().ok()?.split_ascii_whitespace().next()?;
        Some(bounded(product))
    }
}

impl Record {
    /// Starts the record of a request.
    pub fn new(opening: Opening) -> Self {
        Self(Arc::new(Inner {
            opening,
            started: Instant::now(),
            started_at: SystemTime::now(),
            found: Mutex::default(),
        }))
    }

    /// Notes which model is asked, whether the catalogue has it, with which effort, and how much was changed on the way.
    pub fn asks(&self, model: &str, is_known: bool, effort: Option<&str>, notices: usize) {
        let mut found = self.found();
        found.model = Some(ModelAsked { slug: bounded(model), is_known });
        found.effort = effort.map(bounded);
        found.notices = notices;
    }

    /// Notes that the reply is a stream: its first byte is that of its first output, not of a keepalive.
    pub fn streams(&self) {
        self.found().is_stream = true;
    }

    /// Notes that output of the reply went out.
    pub fn sent(&self) {
        let elapsed = self.0.started.elapsed();
        self.found().first_byte.get_or_insert(elapsed);
    }

    /// Notes that the reply is whole.
    pub fn complete(&self, summary: &Summary) {
        self.found().end = End::Complete { finish: summary.finish.as_str(), usage: summary.usage };
    }

    /// Notes why the reply is not whole.
    pub fn fail(&self, error: &Error) {
        let code = bounded(error.code().unwrap_or("invalid_request"));
        let is_own = error.origin() == Origin::Client;
        let code = match error.param() {
            Some(param) => format!("{code} ({})", bounded(param)),
            None => code,
        };
        self.found().end = End::Failed { code, cause: (!is_own).then(|| error.message().to_owned()), is_own };
    }

    /// Describes the request as it is now.
    pub fn entry(&self) -> Entry {
        let found = self.found().clone();
        let (usage, error, cause, is_own_error) = match found.end {
            End::Open => (None, None, None, false),
            End::Complete { usage, .. } => (usage, None, None, false),
            End::Failed { code, cause, is_own } => (None, Some(code), cause, is_own),
        };
        Entry {
            opening: self.0.opening.clone(),
            started_at: self.0.started_at,
            total: self.0.started.elapsed(),
            first_byte: found.first_byte,
            is_known_model: found.model.as_ref().is_some_and(|model| model.is_known),
            model: found.model.map(|model| model.slug),
            effort: found.effort,
            is_stream: found.is_stream,
            status: found.status,
            finish: None,
            usage,
            notices: found.notices,
            error,
            cause,
            is_own_error,
        }
    }

    /// Describes the request as it was. `is_out` says whether the whole reply went out.
    fn last_entry(&self, is_out: bool) -> Entry {
        let mut entry = self.entry();
        entry.finish = match &self.found().end {
            _ if std::thread::panicking() => Some("panic"),
            End::Failed { .. } => Some("error"),
            _ if !is_out => Some("client_gone"),
            End::Complete { finish, .. } => Some(finish),
            End::Open => (entry.status >= Some(400)).then_some("error"),
        };
        entry
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.0.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The watch over a request. Dropping it closes the record in the journal.
#[derive(Debug)]
pub struct Watch {
    journal: Arc<Journal>,
    number: u64,
    record: Record,
    is_out: bool,
}

impl Watch {
    pub(crate) fn new(journal: Arc<Journal>, number: u64, record: Record) -> Self {
        Self { journal, number, record, is_out: false }
    }

    /// The record that is watched.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Goes on in the body of `response`. To a HEAD request no body is sent.
    #[must_use]
    pub fn over(mut self, response: Response<Body>, is_head: bool) -> Response<Body> {
        self.record.found().status = Some(response.status().as_u16());
        let (head, body) = response.into_parts();
        self.is_out = is_head || body.is_end_stream();
        Response::from_parts(head, Watched { body, watch: self }.boxed_unsync())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.journal.close(self.number, self.record.last_entry(self.is_out));
    }
}

/// A reply's body under watch.
struct Watched {
    body: Body,
    watch: Watch,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(_)) if !self.watch.record.found().is_stream => self.watch.record.sent(),
            Poll::Ready(_) | Poll::Pending => {}
        }
        // Whoever knows that a body is at its end does not ask for more.
        self.watch.is_out |= matches!(polled, Poll::Ready(None)) || polled.is_ready() && self.body.is_end_stream();
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A text from outside, as far as it can stand in a log line and in a table.
fn bounded(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TEXT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use codex_translate::{ErrorKind, Finish};
    use http_body_util::Full;

    use super::*;

    fn record() -> Record {
        Record::new(Opening { request_id: "r".to_owned(), endpoint: "chat", client: None, is_routine: false })
    }

    fn client(agent: &str) -> Option<String> {
        let headers = HeaderMap::from_iter([(USER_AGENT, agent.parse().unwrap())]);
        Opening::client(&headers)
    }

    #[test]
    fn a_client_is_known_by_its_product() {
        assert_eq!(client("OpenAI/Python 2.8.0").as_deref(), Some("OpenAI/Python"));
        assert_eq!(client("codex_cli_rs/0.169.0 (Debian 12; x86_64) xterm").as_deref(), Some("codex_cli_rs/0.169.0"));
        assert_eq!(client(&"x".repeat(500)).unwrap().len(), TEXT_CHARS);
        assert_eq!(client(" "), None);
        assert_eq!(Opening::client(&HeaderMap::new()), None);
    }

    #[test]
    fn a_reply_is_finished_when_it_is_out_and_not_before() {
        let whole = record();
        whole.complete(&Summary { finish: Finish::Length, usage: None });
        assert_eq!(whole.last_entry(false).finish, Some("client_gone"));
        assert_eq!(whole.last_entry(true).finish, Some("length"));
        let broken = record();
        broken.fail(&Error::new(ErrorKind::Truncated, "broke off"));
        assert_eq!((broken.last_entry(false).finish, broken.last_entry(true).finish), (Some("error"), Some("error")));
        assert_eq!((record().last_entry(false).finish, record().last_entry(true).finish), (Some("client_gone"), None));
    }

    #[test]
    fn what_can_quote_a_request_is_not_kept() {
        let own = record();
        own.fail(&Error::invalid("seed", "`a secret plan` is no number"));
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

    #[tokio::test]
    async fn the_end_of_the_body_is_the_end_of_the_request() {
        for (reads, finish) in [(true, None), (false, Some("client_gone"))] {
            let journal = Arc::new(Journal::default());
            let opening = Opening { request_id: "r".into(), endpoint: "models", client: None, is_routine: false };
            let watch = journal.open(opening);
            assert_eq!(journal.live().len(), 1);
            let response = watch.over(Response::new(Full::new(Bytes::from_static(b"{}")).boxed_unsync()), false);
            if reads {
                assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "{}");
            } else {
                drop(response);
            }
            assert!(journal.live().is_empty());
            let recent = journal.recent();
            assert_eq!((recent[0].status, recent[0].finish), (Some(200), finish));
        }
    }
}
