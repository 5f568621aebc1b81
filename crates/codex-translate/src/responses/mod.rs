//! The Responses API as the backend speaks it: requests, items and tools on the way there, events and output items on
//! the way back.
//!
//! Nothing here translates: a type contains what is on the wire, and knows how to read or write itself.

mod delta;
mod event;
mod event_parser;
mod item;
mod item_head;
mod output;
mod raw_event;
mod request;
mod required_input;
mod text_kind;
mod tool;
mod web_search;

pub use crate::request::is_same_item;
pub(crate) use delta::{CompactDelta, DeltaContent, DeltaReader};
pub(crate) use event::Envelope;
pub use event::{Ended, Event, IncompleteReason, TextDelta};
pub use event_parser::EventParser;
pub use item::{
    CallKind, ContentPart, InputFile, InputImage, InputItem, InputMessage, InputToolCall, Opaque, OutputContent,
    ReasoningItem, Role, ToolOutput,
};
pub use item_head::{ItemForm, ItemHead, completes};
pub(crate) use output::{ENCRYPTED, ItemKind};
pub use output::{ItemBody, MessagePhase, OutputItem, OutputPart};
pub use raw_event::RawEvent;
pub(crate) use request::{Conventions, HUB};
pub use request::{Reasoning, ResponsesRequest, StreamOptions};
pub use required_input::required_input;
pub use text_kind::TextKind;
pub use tool::{
    AllowedTool, CustomTool, Format, FunctionTool, JsonSchema, NamedTool, NamespaceTool, TextConfig, Tool, ToolChoice,
};
pub use web_search::{WebSearch, WebSearchAction, WebSearchStatus};
