//! Maps tool names to names that the backend accepts, and back (docs/backend.md §2.8: at most 64 characters of
//! `[a-zA-Z0-9_-]`).

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

/// The longest name that the backend accepts.
const MAX_NAME_BYTES: usize = 64;

/// How much of a hash makes a changed name unique.
const HASH_HEX_DIGITS: usize = 8;

/// The tool names of one request that were changed for the backend, and which tools are custom.
///
/// Built once per request. It contains no valid names, so an empty value means that nothing was changed. Unless two
/// names collide, the wire name of a tool depends only on its own name, so a conversation has the same names in every
/// turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolNames {
    /// Wire name to the caller's name.
    originals: BTreeMap<String, String>,
    /// The caller's name to the wire name.
    wires: BTreeMap<String, String>,
    /// The custom tools by their wire names.
    custom: BTreeSet<String>,
}

impl ToolNames {
    /// Gives each of `names` a distinct name for the wire.
    pub(crate) fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let names: BTreeSet<&str> = names.into_iter().collect();
        let mut this = Self::default();
        for name in names.iter().filter(|name| !is_wire_name(name)) {
            let wire = (0_u32..).map(|attempt| wire_name(name, attempt));
            let mut free = wire.filter(|wire| !names.contains(&**wire) && !this.originals.contains_key(wire));
            if let Some(wire) = free.next() {
                this.originals.insert(wire.clone(), (*name).to_owned());
                this.wires.insert((*name).to_owned(), wire);
            }
        }
        this
    }

    /// Marks the tool with the wire name `wire` as custom.
    pub(crate) fn mark_custom(&mut self, wire: &str) {
        self.custom.insert(wire.to_owned());
    }

    /// Returns the caller's name for the tool that the backend calls `wire`.
    pub fn to_client<'a>(&'a self, wire: &'a str) -> &'a str {
        self.originals.get(wire).map_or(wire, String::as_str)
    }

    /// Returns the backend's name for the tool that the caller calls `name`.
    pub fn to_wire<'a>(&'a self, name: &'a str) -> &'a str {
        self.wires.get(name).map_or(name, String::as_str)
    }

    /// Returns whether the tool that the backend calls `wire` was declared as a custom tool.
    pub fn is_custom(&self, wire: &str) -> bool {
        self.custom.contains(wire)
    }

    /// Returns whether no name was changed.
    pub fn is_unchanged(&self) -> bool {
        self.originals.is_empty()
    }
}

/// Returns whether the backend accepts `name`.
fn is_wire_name(name: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(is_wire_byte)
}

fn is_wire_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Makes a wire name: `name` with invalid characters replaced, cut, and made unique by a hash of the whole name.
fn wire_name(name: &str, attempt: u32) -> String {
    let mut hasher = Sha256::new();
    hasher.update(name.as_bytes());
    hasher.update(attempt.to_be_bytes());
    let hash: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let plain = name.chars().map(|c| if c.is_ascii() && is_wire_byte(c as u8) { c } else { '_' });
    let kept: String = plain.take(MAX_NAME_BYTES - 1 - HASH_HEX_DIGITS).collect();
    format!("{kept}_{}", &hash[..HASH_HEX_DIGITS])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_names_are_not_changed() {
        let names = ToolNames::new(["get_weather", "a-B_9", &"x".repeat(64)]);
        assert!(names.is_unchanged());
        assert_eq!(names.to_wire("get_weather"), "get_weather");
        assert_eq!(names.to_client("anything"), "anything");
    }

    #[test]
    fn changed_names_are_valid_distinct_and_restored() {
        let long = ["x".repeat(65), format!("{}y", "x".repeat(64)), "x".repeat(300)];
        let mut originals = vec!["my.tool", "my tool", "my_tool", "ünï", "日本", ""];
        originals.extend(long.iter().map(String::as_str));
        let names = ToolNames::new(originals.iter().copied());
        let wires: BTreeSet<_> = originals.iter().map(|name| names.to_wire(name)).collect();
        assert_eq!(wires.len(), originals.len());
        for name in originals {
            assert!(is_wire_name(names.to_wire(name)), "{name}");
            assert_eq!(names.to_client(names.to_wire(name)), name);
        }
    }

    #[test]
    fn a_changed_name_never_equals_a_given_one() {
        let taken = wire_name("my.tool", 0);
        let names = ToolNames::new(["my.tool", &taken]);
        assert_eq!(names.to_wire(&taken), taken);
        assert_eq!(names.to_wire("my.tool"), wire_name("my.tool", 1));
        assert_eq!(names.to_client(&taken), taken);
    }

    #[test]
    fn a_name_does_not_depend_on_the_other_tools() {
        let alone = ToolNames::new(["a.b"]);
        let among = ToolNames::new(["z.z", "a.b", "plain"]);
        assert_eq!(alone.to_wire("a.b"), among.to_wire("a.b"));
    }
}
