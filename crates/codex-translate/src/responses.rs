//! The Responses API as the backend speaks it.

mod item;
mod request;
mod tool;

pub use item::{Call, CallKind, File, Image, Item, Message, Opaque, Output, OutputContent, Part, ReasoningItem, Role};
pub(crate) use request::Shape;
pub use request::{Reasoning, Request, StreamOptions};
pub use tool::{AllowedTool, CustomTool, Format, FunctionTool, JsonSchema, NamedTool, Text, Tool, ToolChoice};
