//! Which of its texts a reply goes on with.

/// The kinds of text in a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TextKind {
    /// What the model says.
    Text,
    /// Why the model will not say it.
    Refusal,
    /// A summary of the reasoning.
    Summary,
    /// The reasoning itself, of models that show it.
    Reasoning,
}
