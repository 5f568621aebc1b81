//! The dialects of clients: everything that differs between them, in one value each.
//!
//! To add one, write its reader and its writer, define its value here, and add it to [`Dialect::ALL`];
//! `CONTRIBUTING.md` has the steps.

mod fold;

use std::borrow::Cow;
use std::fmt;

pub use fold::BoxedFold;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::chat::{ChatRequest, Completion, ToolCall};
use crate::error::Error;
use crate::outcome::{Finish, ReplyId};
use crate::plan::ReplyPlan;
use crate::profile::{BodyOrigin, Options, Profile};
use crate::reply::{ChatFold, ChatPipe, Pipe, Response, ResponsesFold, ResponsesPipe};
use crate::request::params::{self, Parameter};
use crate::request::{Translated, normalise, to_responses};
use crate::responses::ResponsesRequest;
use crate::usage::Usage;

/// The writer of a streamed reply in any dialect, as server-sent events.
pub type BoxedPipe = Box<dyn Pipe<Vec<u8>> + Send>;

/// A dialect: a reader of requests, writers of replies, and its other properties.
///
/// # Example
/// ```
/// use codex_translate::{Dialect, Fold, Options, Profile, RawEvent, ReplyId};
///
/// let body = br#"{"model": "gpt-5.5", "messages": [{"role": "user", "content": "Hi"}]}"#;
/// let event = r#"{"type":"response.completed","response":{"status":"completed","output":[{"type":"message","content":
///     [{"type":"output_text","text":"Hey!"}]}]}}"#;
/// // Each of them accepts the bodies of the other.
/// for dialect in Dialect::ALL {
///     let translated = dialect.read(body)?.translate(&Profile::permissive("gpt-5.5"), &Options::default())?;
///     let reply_id = ReplyId { id: format!("{}1", dialect.id_prefix), created: 1_750_000_000 };
///     let mut fold = dialect.fold(&translated.plan, &reply_id);
///     let _done = fold.push(RawEvent::new(event))?;
///     assert_eq!(fold.end()?.text(), "Hey!");
/// }
/// # Ok::<(), codex_translate::Error>(())
/// ```
pub struct Dialect {
    /// Its name in logs and metrics.
    pub name: &'static str,
    /// Every parameter of its requests.
    pub parameters: &'static [Parameter],
    /// Whether its requests may continue a stored response, and its replies may be stored.
    pub stores: bool,
    /// The prefix of its replies' ids.
    pub id_prefix: &'static str,
    /// What is sent in a stream after some time without output: whole lines that end no event, or a whole event.
    pub keepalive: &'static str,
    /// The header that marks its requests on paths that dialects share.
    pub header: Option<&'static str>,
    read: fn(BodyOrigin<'_>, &[u8]) -> Result<AnyRequest, Error>,
    translate: fn(ResponsesRequest, &Profile, &Options) -> Result<Translated, Error>,
    pipe: fn(&ReplyPlan, &ReplyId) -> BoxedPipe,
    fold: fn(&ReplyPlan, &ReplyId) -> BoxedFold,
    error: fn(&Error) -> ErrorReply,
    model: fn(&str) -> Map<String, Value>,
    models: fn(Vec<Value>) -> Map<String, Value>,
}

/// An error as an HTTP reply, before the first byte of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorReply {
    /// The HTTP status.
    pub status: u16,
    /// The JSON body.
    pub body: Vec<u8>,
}

/// A whole reply, which serialises in the form of its dialect.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum WholeReply {
    /// Of Chat Completions.
    Chat(Completion),
    /// Of the Responses API.
    Responses(Response),
}

/// A parsed request of any dialect that has not been translated for a model.
///
/// ```
/// use codex_translate::chat::ChatRequest;
/// use codex_translate::dialect::{self, AnyRequest};
///
/// let body = br#"{"model": "gpt-5.5", "messages": [{"role": "user", "content": "Hello!"}]}"#;
/// let request = AnyRequest::from(ChatRequest::from_json(body)?); // or `dialect::CHAT.read(body)?`
/// assert_eq!((request.dialect(), request.model()), (&dialect::CHAT, "gpt-5.5"));
/// # Ok::<(), codex_translate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AnyRequest {
    dialect: &'static Dialect,
    request: ResponsesRequest,
    bytes: usize,
}

/// Chat Completions.
pub static CHAT: Dialect = Dialect {
    name: "chat",
    parameters: params::CHAT,
    stores: false,
    id_prefix: "chatcmpl-",
    keepalive: OPENAI_KEEPALIVE,
    header: None,
    read: |_, body| ChatRequest::from_json(body).map(AnyRequest::from),
    translate: |request, profile, options| to_responses(ChatRequest(request), profile, options),
    pipe: |plan, reply_id| Box::new(ChatPipe::new(plan, reply_id)),
    fold: |plan, reply_id| BoxedFold::new(ChatFold::new(plan, reply_id)),
    error: openai_error,
    model: openai_model,
    models: openai_models,
};

/// The Responses API.
pub static RESPONSES: Dialect = Dialect {
    name: "responses",
    parameters: params::RESPONSES,
    stores: true,
    id_prefix: "resp_",
    keepalive: OPENAI_KEEPALIVE,
    header: None,
    read: |origin, body| ResponsesRequest::from_json_of(origin, body).map(AnyRequest::from),
    translate: normalise,
    pipe: |plan, reply_id| Box::new(ResponsesPipe::new(plan, reply_id)),
    fold: |plan, reply_id| BoxedFold::new(ResponsesFold::new(plan, reply_id)),
    error: openai_error,
    model: openai_model,
    models: openai_models,
};

/// A comment, which every parser of server-sent events skips. No blank line follows it: it would end an event without
/// data, at which older decoders of openai-go fail.
const OPENAI_KEEPALIVE: &str = ": keep-alive\n";

impl Dialect {
    /// Every dialect.
    pub const ALL: [&Self; 2] = [&CHAT, &RESPONSES];

    /// Returns the dialect of a request to a path that dialects share, which is OpenAI's unless a header says
    /// otherwise.
    pub fn of_shared_path(has_header: impl Fn(&str) -> bool) -> &'static Self {
        Self::ALL.into_iter().find(|dialect| dialect.header.is_some_and(&has_header)).unwrap_or(&RESPONSES)
    }

    /// Parses the body of a request.
    ///
    /// # Errors
    /// The body is not JSON, or something in it has the wrong type or is missing: a 400 with its path.
    pub fn read(&self, body: &[u8]) -> Result<AnyRequest, Error> {
        self.read_of(BodyOrigin::default(), body)
    }

    /// Parses the body of a request whose origin is known, or only its sender. A server that the Codex CLI may call
    /// should tell it by its headers: its bodies are passed on as they are, and those of other clients are repaired.
    ///
    /// # Errors
    /// As for [`Dialect::read`].
    pub fn read_of<'a>(&self, origin: impl Into<BodyOrigin<'a>>, body: &[u8]) -> Result<AnyRequest, Error> {
        (self.read)(origin.into(), body).map(|request| AnyRequest { bytes: body.len(), ..request })
    }

    /// Starts a streamed reply.
    pub fn pipe(&self, plan: &ReplyPlan, reply_id: &ReplyId) -> BoxedPipe {
        (self.pipe)(plan, reply_id)
    }

    /// Starts a whole reply.
    pub fn fold(&self, plan: &ReplyPlan, reply_id: &ReplyId) -> BoxedFold {
        (self.fold)(plan, reply_id)
    }

    /// Returns the status and the body of an error.
    pub fn error(&self, error: &Error) -> ErrorReply {
        (self.error)(error)
    }

    /// Returns the description of the model `id`: the members of the dialect, then `facts` about the model.
    ///
    /// ```
    /// use codex_translate::dialect;
    /// use serde_json::Map;
    ///
    /// let facts = Map::from_iter([("context_window".to_owned(), 272_000.into())]);
    /// let model = dialect::RESPONSES.model("gpt-5.5", facts);
    /// assert_eq!((&model["object"], &model["context_window"]), (&"model".into(), &272_000.into()));
    /// ```
    pub fn model(&self, id: &str, facts: Map<String, Value>) -> Value {
        let mut model = (self.model)(id);
        for (key, fact) in facts {
            model.entry(key).or_insert(fact);
        }
        Value::Object(model)
    }

    /// Returns the list of these models, each with its id and the facts about it.
    pub fn models<'a>(&self, models: impl IntoIterator<Item = (&'a str, Map<String, Value>)>) -> Map<String, Value> {
        (self.models)(models.into_iter().map(|(id, facts)| self.model(id, facts)).collect())
    }
}

/// Dialects are compared by name.
impl PartialEq for Dialect {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Dialect {}

impl fmt::Debug for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dialect").field(&self.name).finish()
    }
}

impl AnyRequest {
    /// Returns the dialect of the request, which is also that of its reply.
    pub fn dialect(&self) -> &'static Dialect {
        self.dialect
    }

    /// Returns the caller's name for the model.
    pub fn model(&self) -> &str {
        &self.request.model
    }

    /// Returns the size of the body that the request was parsed from; 0 if it was not parsed by [`Dialect::read`].
    pub fn body_bytes(&self) -> usize {
        self.bytes
    }

    /// Translates the request for the model of `profile`.
    ///
    /// # Errors
    /// The request asks for something that is not possible or, in strict mode, for something that would be dropped: a
    /// 400 that names the parameter.
    pub fn translate(self, profile: &Profile, options: &Options) -> Result<Translated, Error> {
        (self.dialect.translate)(self.request, profile, options)
    }
}

impl From<ChatRequest> for AnyRequest {
    fn from(request: ChatRequest) -> Self {
        Self { dialect: &CHAT, request: request.0, bytes: 0 }
    }
}

impl From<ResponsesRequest> for AnyRequest {
    fn from(request: ResponsesRequest) -> Self {
        Self { dialect: &RESPONSES, request, bytes: 0 }
    }
}

impl WholeReply {
    /// Adds the choices of another turn to a reply that may have several.
    #[must_use]
    pub fn merged(mut self, other: Self) -> Self {
        if let (Self::Chat(whole), Self::Chat(choice)) = (&mut self, other) {
            whole.merge(choice);
        }
        self
    }

    /// Returns the text of the answer, of the first choice if there are several; empty if there is none, as when the
    /// model refuses.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Chat(completion) => Cow::Borrowed(completion.text()),
            Self::Responses(response) => Cow::Owned(response.text()),
        }
    }

    /// Returns the model's refusal, of the first choice if there are several.
    pub fn refusal(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Chat(completion) => completion.refusal().map(Cow::Borrowed),
            Self::Responses(response) => response.refusal().map(Cow::Owned),
        }
    }

    /// Returns the tool calls of the model, of the first choice if there are several.
    pub fn tool_calls(&self) -> Vec<ToolCall> {
        match self {
            Self::Chat(completion) => completion.tool_calls().to_vec(),
            Self::Responses(response) => response.tool_calls(),
        }
    }

    /// Returns why the reply ended; the first choice, if there are several.
    pub fn finish(&self) -> Finish {
        match self {
            Self::Chat(completion) => completion.finish(),
            Self::Responses(response) => response.finish(),
        }
    }

    /// Returns the tokens used, if the backend reported them or this crate cut off the reply.
    pub fn usage(&self) -> Option<&Usage> {
        match self {
            Self::Chat(completion) => completion.usage(),
            Self::Responses(response) => response.usage(),
        }
    }

    /// Returns the body as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        match self {
            Self::Chat(completion) => completion.to_json(),
            Self::Responses(response) => response.json().as_bytes().to_vec(),
        }
    }

    /// Returns the JSON of a reply that can be stored.
    pub fn stored_form(&self) -> Option<&str> {
        match self {
            Self::Chat(_) => None,
            Self::Responses(response) => Some(response.stored_form()),
        }
    }
}

impl From<Completion> for WholeReply {
    fn from(completion: Completion) -> Self {
        Self::Chat(completion)
    }
}

impl From<Response> for WholeReply {
    fn from(response: Response) -> Self {
        Self::Responses(response)
    }
}

impl Serialize for WholeReply {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Chat(completion) => completion.serialize(serializer),
            Self::Responses(response) => response.serialize(serializer),
        }
    }
}

fn openai_error(error: &Error) -> ErrorReply {
    ErrorReply { status: error.status_hint(), body: error.to_json() }
}

fn openai_model(id: &str) -> Map<String, Value> {
    // The backend does not report when a model was created; clients only sort by it.
    let members: [(&str, Value); 4] =
        [("id", id.into()), ("object", "model".into()), ("created", 0.into()), ("owned_by", "openai".into())];
    members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn openai_models(models: Vec<Value>) -> Map<String, Value> {
    Map::from_iter([("object".to_owned(), "list".into()), ("data".to_owned(), models.into())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dialects_have_names_of_their_own() {
        for (at, dialect) in Dialect::ALL.iter().enumerate() {
            assert!(Dialect::ALL[..at].iter().all(|other| other.name != dialect.name), "{}", dialect.name);
            assert!(!dialect.parameters.is_empty(), "{}", dialect.name);
        }
    }

    #[test]
    fn a_shared_path_is_openais_unless_a_header_says_otherwise() {
        assert_eq!(Dialect::of_shared_path(|_| false), &RESPONSES);
        for dialect in Dialect::ALL {
            if let Some(header) = dialect.header {
                assert_eq!(Dialect::of_shared_path(|name| name == header), dialect);
            }
        }
    }
}
