//! The readers: a client's body, in either dialect, into the hub.
//!
//! They check types and shapes, and understand the same thing under each name that clients have for it. What a request
//! *means* to the backend is settled afterwards, in [`normalise`](crate::normalise()).

mod choice;
mod content;
mod format;
mod item;
mod message;
mod settings;
mod tools;

use serde_json::value::RawValue;

use crate::error::Error;
use crate::json::{Kind, Members, Node};
use crate::notice::Notices;
use crate::params;
use crate::responses::{Item, Message, Request, Role, Shape};

pub(crate) use tools::{list as tools, web_search};

/// Reads a body that came by the path of `path`; the shape of the body decides how, and is remembered.
///
/// # Errors
/// A 400 that names what is wrong by its path.
pub(crate) fn body(raw: &RawValue, path: Shape) -> Result<Request, Error> {
    let root = Node::root(raw);
    let members = root.object()?;
    let shape = shape_of(&members, path);
    let mut request = Request::default();
    request.asked.shape = shape;
    request.asked.from_cli = members.iter().any(|(key, _)| key == "client_metadata");
    let find = |name: &'static str| match members.iter().find(|(key, _)| key == name) {
        Some((_, raw)) => Ok(root.key(name, raw)),
        None => Err(root.missing(name)),
    };
    request.model = find("model")?.non_empty()?;
    // The conversation comes before the rest: it can show that the body is the Codex CLI's.
    let conversation = match shape {
        Shape::Chat => "messages",
        Shape::Responses => "input",
    };
    match shape {
        Shape::Chat => request.input = messages(&find(conversation)?, &mut request.notices)?,
        Shape::Responses => input(&mut request, &find(conversation)?)?,
    }
    for (key, raw) in members.iter().filter(|(key, _)| key != "model" && key != conversation) {
        let node = root.key(key, raw);
        if !settings::read(&mut request, &node, key)? {
            params::set_aside(shape, key, &node, &mut request.notices)?;
        }
    }
    Ok(request)
}

/// The dialect of a body: that of its path if it can be, else the other one (clients.md rule 8).
fn shape_of(members: &Members<'_>, path: Shape) -> Shape {
    let has = |name: &str| members.iter().any(|(key, _)| key == name);
    match path {
        Shape::Chat if !has("messages") && has("input") => Shape::Responses,
        Shape::Responses if !has("input") && has("messages") => Shape::Chat,
        Shape::Chat | Shape::Responses => path,
    }
}

fn messages(node: &Node<'_, '_>, notices: &mut Notices) -> Result<Vec<Item>, Error> {
    let list = node.array()?;
    if list.is_empty() {
        return Err(node.invalid("must hold at least one message"));
    }
    let mut reader = message::Reader::new(Shape::Chat);
    for (index, raw) in list.iter().enumerate() {
        let message = node.index(index, raw);
        reader.read(&message, message.object()?, notices)?;
    }
    Ok(reader.into_items())
}

/// Reads `input`, which may be a text instead of a list (the backend takes only a list, wire.md §2.5).
fn input(request: &mut Request, node: &Node<'_, '_>) -> Result<(), Error> {
    if node.kind() == Kind::String {
        request.input.push(Item::Message(Message::text(Role::User, node.str()?)));
        return Ok(());
    }
    let list = node.array()?;
    if list.is_empty() {
        return Err(node.invalid("must hold at least one item"));
    }
    let members = list.iter().enumerate().map(|(index, raw)| item::members(&node.index(index, raw)));
    let members = members.collect::<Result<Vec<_>, _>>()?;
    request.asked.from_cli |= members.iter().any(item::is_of_cli);
    let mut reader = item::Reader::new(request.asked.from_cli);
    for (index, (raw, members)) in list.iter().zip(members).enumerate() {
        reader.read(&node.index(index, raw), members, &mut request.notices)?;
    }
    request.input = reader.into_items();
    Ok(())
}
