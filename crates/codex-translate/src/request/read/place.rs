//! Where a part stands, and what becomes of members and types that cannot be sent there.

use crate::error::Error;
use crate::json::{Node, Path};
use crate::notice::Notices;
use crate::request::read::shape::Shape;

/// Keys that replies put on parts and that mean nothing in a request.
const LEFTOVERS: &[&str] = &["type", "annotations", "logprobs", "id", "status", "index", "parsed"];

/// Where a part stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a message of a body of this shape.
    Message(Shape),
    /// In the output of a tool, where a part that cannot be read is text.
    Output,
}

/// Drops a key that the part's type does not have, such as the cache marks of Anthropic's API, with a notice unless it
/// is a leftover of a reply.
pub(super) fn leftover(key: &str, member: &Node<'_, '_>, notices: &mut Notices) {
    if !LEFTOVERS.contains(&key) {
        notices.dropped(member.here(), "not supported by the backend");
    }
}

/// Makes a 400 about a part of a type that cannot be sent.
pub(super) fn unsupported(at: &Path<'_>, kind: &str, instead: &str) -> Error {
    at.invalid(format_args!("has the type `{kind}`, which is not supported: {instead}"))
        .with_code("unsupported_content")
}
