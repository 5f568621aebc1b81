//! The Responses API as the backend speaks it.

mod delta;
mod event;
mod item;
mod output;
mod request;
mod tool;

pub(crate) use delta::{DeltaReader, PlainDelta, Said as PlainSaid};
pub use event::{Channel, Ended, Event, IncompleteReason, Piece};
pub(crate) use event::{Envelope, list, members_of, number, present, word};
pub use item::{Call, CallKind, File, Image, Item, Message, Opaque, Output, OutputContent, Part, ReasoningItem, Role};
pub(crate) use output::ItemKind;
pub use output::{ItemBody, OutputItem, OutputPart, Phase};
pub(crate) use request::Shape;
pub use request::{Reasoning, Request, StreamOptions};
pub use tool::{AllowedTool, CustomTool, Format, FunctionTool, JsonSchema, NamedTool, Text, Tool, ToolChoice};
