//! JSON as both sides read and write it: values that stay slices of their text, strings that stay escaped, objects of
//! which a few members change.
//!
//! Nothing here knows a dialect, an endpoint or an event.

mod edit;
mod members;
mod node;
mod same;
mod surrogates;
mod text;

pub(crate) use edit::ObjectEdit;
pub(crate) use members::{every_member, list, members, members_of, number, present, word};
pub(crate) use node::{
    BorrowedStr, Members, Node, Object, Path, Raw, ValueKind, find, find_type, last_of_each, parse, text, to_raw,
};
pub(crate) use same::{is_json, is_same_value};
pub use surrogates::replace_lone_surrogates;
pub(crate) use text::write_string;
pub use text::{Text, TextBuf};
