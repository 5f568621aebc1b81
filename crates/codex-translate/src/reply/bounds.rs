//! How much of one reply is held at once: what hostile or broken upstreams send beyond is an error.

/// The largest event that is read. Images come as one event; the backend's own limit is 16 MiB (docs/backend.md §2.9, §3.1).
pub const MAX_EVENT_BYTES: usize = 32 * 1024 * 1024;

/// The most items that the output of one reply may have; the largest seen had some dozens.
pub const MAX_OUTPUT_ITEMS: usize = 10_000;

/// The most texts that the items of one reply may have together.
pub const MAX_OUTPUT_TEXTS: usize = 20_000;

/// How much commentary is kept in case no answer follows. Beyond this it is taken for the answer at once.
pub const MAX_COMMENTARY_BYTES: usize = 1024 * 1024;

/// How much of what comes before the first output is kept to be given on with it. Two events of it echo the whole request.
pub const MAX_EARLY_BYTES: usize = 256 * 1024;

/// The largest output that is kept to be put together at the end: a few of the largest images.
pub const MAX_OUTPUT_BYTES: usize = 128 * 1024 * 1024;
