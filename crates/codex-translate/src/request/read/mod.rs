//! The readers: from a client's body, in either dialect, to the hub.
//!
//! They check types and shapes, and accept each name that clients use for the same thing. What a request *means* to the
//! backend is decided later, by [`normalise`](super::normalise()).

mod choice;
mod content;
mod format;
mod identity;
mod item;
mod media;
mod message;
mod output;
mod place;
mod settings;
mod shape;
mod source;
mod tools;

use std::borrow::Cow;

use item::ItemReader;
pub(crate) use item::TOOL_LISTS;
pub use item::is_same_item;
use message::MessageReader;
use shape::Shape;
use source::{MessageForm, SettingsBefore};
pub(crate) use tools::{list as tools, web_search};

use crate::chat::ChatRequest;
use crate::error::Error;
use crate::json::{self, Members, Path, TextBuf};
use crate::paths::{ItemOrigin, ItemSource};
use crate::profile::{BodyOrigin, Sender};
use crate::request::body::{ParsedBody, Shallow};
use crate::request::{echo, params};
use crate::responses::{InputItem, InputMessage, ResponsesRequest, Role};

impl ChatRequest {
    /// Parses the body of a request to `/v1/chat/completions`. A Responses-shaped body (`input` without `messages`), as
    /// Cursor sends it, is accepted, too.
    ///
    /// # Errors
    /// The body is not JSON (the message contains line and column), or something in it has the wrong type or is missing
    /// (the error's parameter is its path, such as `messages[3].content[1].image_url`): a 400.
    ///
    /// # Example
    /// ```
    /// use codex_translate::chat::ChatRequest;
    ///
    /// let request = ChatRequest::from_json(br#"{"model": "m", "messages": [{"role": "user", "content": "Hi"}]}"#)?;
    /// assert_eq!((request.model(), request.stream()), ("m", false));
    /// let error = ChatRequest::from_json(br#"{"model": "m", "messages": [{"role": "user", "content": 7}]}"#);
    /// assert_eq!(error.unwrap_err().param(), Some("messages[0].content"));
    /// # Ok::<(), codex_translate::Error>(())
    /// ```
    pub fn from_json(body: &[u8]) -> Result<Self, Error> {
        read(body, Shape::Chat, BodyOrigin::default()).map(Self)
    }

    /// Makes the request of one message of the user.
    ///
    /// ```
    /// use codex_translate::chat::ChatRequest;
    /// use codex_translate::{Options, Profile, to_responses};
    ///
    /// let request = ChatRequest::prompt("gpt-5.5", "Say hey.").with_instructions("Be brief.");
    /// let translated = to_responses(request, &Profile::permissive("gpt-5.5"), &Options::default())?;
    /// assert_eq!(translated.request.instructions.as_deref(), Some("Be brief."));
    /// # Ok::<(), codex_translate::Error>(())
    /// ```
    pub fn prompt(model: impl Into<String>, text: impl Into<TextBuf>) -> Self {
        Self(prompt(Shape::Chat, model.into(), text.into()))
    }

    /// Sets the instructions, which precede those of the messages.
    #[must_use]
    pub fn with_instructions(mut self, instructions: impl Into<String>) -> Self {
        self.0.instructions = Some(instructions.into());
        self
    }
}

impl ResponsesRequest {
    /// Parses the body of a request to `/v1/responses`. A chat-shaped body (`messages` without `input`) is accepted,
    /// too.
    ///
    /// # Errors
    /// The body is not JSON, or something in it has the wrong type or is missing: a 400 with its path.
    ///
    /// # Example
    /// ```
    /// use codex_translate::responses::ResponsesRequest;
    ///
    /// let request = ResponsesRequest::from_json(br#"{"model": "m", "input": "Hi", "stream": true}"#)?;
    /// assert_eq!((&*request.model, request.input.len(), request.stream()), ("m", 1, true));
    /// # Ok::<(), codex_translate::Error>(())
    /// ```
    pub fn from_json(body: &[u8]) -> Result<Self, Error> {
        Self::from_json_of(BodyOrigin::default(), body)
    }

    /// Parses the body of a request to `/v1/responses` whose origin is known, or only its sender.
    ///
    /// # Errors
    /// As for [`ResponsesRequest::from_json`].
    pub fn from_json_of<'a>(origin: impl Into<BodyOrigin<'a>>, body: &[u8]) -> Result<Self, Error> {
        read(body, Shape::Responses, origin.into())
    }

    /// Makes the request of one message of the user; set further members as fields.
    ///
    /// ```
    /// use codex_translate::responses::ResponsesRequest;
    /// use codex_translate::{Effort, Options, Profile, normalise};
    ///
    /// let mut request = ResponsesRequest::prompt("gpt-5.5", "Say hey.");
    /// request.reasoning.effort = Some(Effort::Low);
    /// let translated = normalise(request, &Profile::permissive("gpt-5.5"), &Options::default())?;
    /// assert_eq!(translated.plan.model, "gpt-5.5");
    /// # Ok::<(), codex_translate::Error>(())
    /// ```
    pub fn prompt(model: impl Into<String>, text: impl Into<TextBuf>) -> Self {
        prompt(Shape::Responses, model.into(), text.into())
    }
}

/// Makes the request that a body with one message of the user becomes.
fn prompt(shape: Shape, model: String, text: TextBuf) -> ResponsesRequest {
    let input = vec![InputItem::Message(InputMessage::text(Role::User, text))];
    let mut request = ResponsesRequest { model, input, ..ResponsesRequest::default() };
    request.local.conventions = shape.conventions();
    request.local.echoed = (shape == Shape::Responses).then(Vec::new);
    request
}

/// Reads a body that was sent to a path of the shape `path`. The body's own shape decides how, and is recorded.
///
/// # Errors
/// The body is invalid: a 400 with the path of what is wrong.
fn read(body: &[u8], path: Shape, origin: BodyOrigin<'_>) -> Result<ResponsesRequest, Error> {
    let text = json::text(body)?;
    let ParsedBody { members, messages, input } = ParsedBody::parse(&text)?;
    let shape = match path {
        Shape::Chat if messages.is_none() && input.is_some() => Shape::Responses,
        Shape::Responses if input.is_none() && messages.is_some() => Shape::Chat,
        // The shape of the path, if the body has it (docs/clients/quirks.md rule 8).
        Shape::Chat | Shape::Responses => path,
    };
    let mut request = ResponsesRequest::default();
    request.local.conventions = shape.conventions();
    request.local.sources.is_chat = shape == Shape::Chat;
    request.local.sources.set("model");
    request.local.from_cli = origin.sender == Sender::CodexCli && (path, shape) == (Shape::Responses, Shape::Responses);
    if matches!(text, Cow::Owned(_)) {
        request.notices.repaired("*", "replaced a lone surrogate with U+FFFD");
    }
    if origin.has_repeats {
        request.notices.repaired("input[]", "left out an item with the `id` of one that the conversation has");
    }
    request.local.echoed = (path == Shape::Responses).then(Vec::new);
    let root = Path::ROOT;
    let Some((_, model)) = members.iter().find(|(key, _)| key == "model") else { return Err(root.missing("model")) };
    request.model = root.key("model", model).non_empty()?;
    // The conversation is read first, because it can show that the body is the Codex CLI's.
    let (name, conversation, (other, unread)) = match shape {
        Shape::Chat => ("messages", messages, ("input", input)),
        Shape::Responses => ("input", input, ("messages", messages)),
    };
    let conversation = conversation.ok_or_else(|| root.missing(name))?;
    match shape {
        Shape::Chat => read_messages(&mut request, conversation, &root.member(name))?,
        Shape::Responses => read_input(&mut request, conversation, origin.items, &root.member(name))?,
    }
    if unread.is_some() {
        request.notices.dropped(other, "unknown parameter");
    }
    let settings = |last| members.iter().filter(move |(key, _)| settings::is_read_last(key) == last && key != "model");
    for (key, raw) in settings(false).chain(settings(true)) {
        let node = root.key(key, raw);
        if params::is_absent(shape.parameters(), key, &node) {
            continue;
        }
        if let Some(echoed) = &mut request.local.echoed {
            echo::keep(echoed, key, &node);
        }
        let before = SettingsBefore::of(&request);
        if settings::read(&mut request, shape, &node, key)? {
            before.trace(&mut request, key, &node);
        } else {
            params::reject_or_drop(shape.parameters(), key, &node, &mut request.notices)?;
        }
    }
    Ok(request)
}

fn read_messages(request: &mut ResponsesRequest, list: Shallow<'_>, at: &Path<'_>) -> Result<(), Error> {
    let messages = objects(list, at, "must contain at least one message")?;
    let mut reader = MessageReader::new(Shape::Chat, messages.len());
    let (notices, sources) = (&mut request.notices, &mut request.local.sources.items);
    sources.reserve(messages.len());
    for (index, members) in messages.into_iter().enumerate() {
        let form = MessageForm::of(&members, true, &mut notices.trail);
        let start = reader.items().len();
        reader.read(&at.element(index), members, notices)?;
        form.trace(Some(index), &reader.items()[start..], &notices.trail, sources);
    }
    request.input = reader.into_items();
    Ok(())
}

/// Reads `input`, which may be a string. The backend accepts only a list (docs/backend.md §2.5).
fn read_input(
    request: &mut ResponsesRequest,
    input: Shallow<'_>,
    origins: Option<&[ItemOrigin]>,
    at: &Path<'_>,
) -> Result<(), Error> {
    if let Shallow::String(text) = input {
        request.input.push(InputItem::Message(InputMessage::text(Role::User, text.into_owned())));
        request.local.sources.is_text = true;
        request.local.sources.items.push(ItemSource { index: Some(0), ..ItemSource::ADDED });
        return Ok(());
    }
    let items = objects(input, at, "must contain at least one item")?;
    request.local.from_cli |= items.iter().any(item::is_of_cli);
    let mut reader = ItemReader::new(request.local.from_cli, items.len());
    let sources = &mut request.local.sources;
    for (index, members) in items.into_iter().enumerate() {
        let origin = origins
            .map_or(ItemOrigin::Sent(index), |origins| origins.get(index).copied().unwrap_or(ItemOrigin::Stored));
        sources.is_text |= origin == ItemOrigin::Text;
        let form = MessageForm::of(&members, false, &mut request.notices.trail);
        let start = reader.items().len();
        reader.read(origin, &at.element(origin.index().unwrap_or(index)), members, &mut request.notices)?;
        let first = sources.items.len();
        form.trace(origin.index(), &reader.items()[start..], &request.notices.trail, &mut sources.items);
        if matches!(origin, ItemOrigin::Referred(_)) {
            for source in &mut sources.items[first..] {
                *source = source.by_index();
            }
        }
    }
    request.input = reader.into_items();
    Ok(())
}

/// Returns the objects of a list that must not be empty.
fn objects<'a>(list: Shallow<'a>, at: &Path<'_>, or_else: &str) -> Result<Vec<Members<'a>>, Error> {
    let kind = list.kind();
    let Shallow::Array(elements) = list else { return Err(at.mistyped("an array", kind)) };
    if elements.is_empty() {
        return Err(at.invalid(or_else));
    }
    let object = |(index, element): (usize, Shallow<'a>)| {
        let kind = element.kind();
        let Shallow::Object(members) = element else { return Err(at.element(index).mistyped("an object", kind)) };
        Ok(members)
    };
    elements.into_iter().enumerate().map(object).collect()
}
