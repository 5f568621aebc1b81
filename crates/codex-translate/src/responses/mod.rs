//! The Responses API as the backend speaks it: requests, items and tools on the way there, events and output items on the way
//! back.
//!
//! Nothing here translates: a type holds what stands on the wire, and knows how to read or write itself.

mod delta;
mod event;
mod item;
mod output;
mod raw_event;
mod request;
mod text_kind;
mod tool;

pub(crate) use delta::{DeltaReader, PlainDelta, Said as PlainSaid};
pub(crate) use event::Envelope;
pub use event::{Ended, Event, IncompleteReason, Piece};
pub use item::{Call, CallKind, File, Image, Item, Message, Opaque, Output, OutputContent, Part, ReasoningItem, Role};
pub(crate) use output::ItemKind;
pub use output::{ItemBody, OutputItem, OutputPart, Phase};
pub use raw_event::RawEvent;
pub(crate) use request::Shape;
pub use request::{Reasoning, Request, StreamOptions};
pub use text_kind::TextKind;
pub use tool::{AllowedTool, CustomTool, Format, FunctionTool, JsonSchema, NamedTool, Text, Tool, ToolChoice};
