//! The kinds of text in a reply.

/// The kinds of text in a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TextKind {
    /// The text of a message.
    Text,
    /// A refusal of the model.
    Refusal,
    /// A summary of the reasoning.
    Summary,
    /// The reasoning itself, from models that show it.
    Reasoning,
}
