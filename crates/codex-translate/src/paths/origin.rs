//! Where the items of an input come from.

/// Where an item of `input` comes from, in a body that an embedder has completed with stored items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemOrigin {
    /// The caller has sent it, at this index of its `input`.
    Sent(usize),
    /// The caller has sent it as `input`, which is a string.
    Text,
    /// It is stored, and the caller refers to it at this index of its `input`.
    Referred(usize),
    /// It is stored, and belongs to the conversation that the request continues.
    Stored,
}

impl ItemOrigin {
    /// Returns the index in the caller's `input`, if the caller has sent the item or refers to it.
    pub(crate) fn index(self) -> Option<usize> {
        match self {
            Self::Sent(index) | Self::Referred(index) => Some(index),
            Self::Text => Some(0),
            Self::Stored => None,
        }
    }

    /// Returns whether the item is a stored one.
    pub(crate) fn is_stored(self) -> bool {
        matches!(self, Self::Referred(_) | Self::Stored)
    }
}
