//! A stable id for the conversations of clients that send none (docs/backend.md §2.6, docs/features.md C16).

use sha2::{Digest as _, Sha256};

use crate::responses::{InputItem, ResponsesRequest, Role};

/// Separates these hashes from other hashes of the same input.
const DOMAIN: &[u8] = b"codex-proxy conversation 2";

/// Identifies a conversation: the hash of its caller and of either the client's name for it or its beginning.
///
/// # Example
/// ```
/// use codex_translate::responses::ResponsesRequest;
/// use codex_translate::{ConversationSeed, conversation_id};
///
/// let mut request = ResponsesRequest::prompt("gpt-5.5", "Hi");
/// let seed = ConversationSeed::new("hash of the caller's key", None, &request);
/// // The time at which the seed was first seen, in milliseconds.
/// request.prompt_cache_key = Some(conversation_id(&seed, 1_750_000_000_000));
/// assert_eq!(request.prompt_cache_key.as_deref().map(|id| &id[..15]), Some("01977420-dc00-7"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConversationSeed([u8; 32]);

impl ConversationSeed {
    /// Returns the seed of the conversation that `request` belongs to.
    ///
    /// `caller` identifies the caller, for example by a hash of the API key: different callers never share a seed.
    /// `session` is the client's name for the conversation, if a header contains one; the second choice is its
    /// `prompt_cache_key`. Without either, the conversation is identified by its instructions and its first user
    /// message, which every turn repeats.
    pub fn new(caller: impl AsRef<[u8]>, session: Option<&str>, request: &ResponsesRequest) -> Self {
        let mut hasher = Sha256::new();
        field(&mut hasher, DOMAIN);
        field(&mut hasher, caller.as_ref());
        match session.or(request.prompt_cache_key.as_deref()) {
            Some(name) => {
                field(&mut hasher, b"named");
                field(&mut hasher, name.as_bytes());
            }
            None => {
                field(&mut hasher, b"derived");
                field(&mut hasher, request.instructions.as_deref().unwrap_or_default().as_bytes());
                beginning(&mut hasher, &request.input);
            }
        }
        Self(hasher.finalize().into())
    }
}

/// Returns the conversation's id: a UUID of version 7 with the time `unix_ms` and with the seed as random bits.
///
/// The same seed and time give the same id, so `unix_ms` must be the same in every turn, for example the time at which
/// the seed was first seen. It is in milliseconds since the Unix epoch; only the lowest 48 bits are used.
pub fn conversation_id(seed: &ConversationSeed, unix_ms: u64) -> String {
    let mut bytes = [0_u8; 16];
    bytes[..6].copy_from_slice(&unix_ms.to_be_bytes()[2..]);
    bytes[6..].copy_from_slice(&seed.0[..10]);
    // RFC 9562, section 5.7: the version in the upper half of byte 6, the variant in the upper two bits of byte 8.
    bytes[6] = 0x70 | (bytes[6] & 0x0f);
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Hashes a field after its length, so different lists of fields have different hashes.
fn field(hasher: &mut Sha256, bytes: &[u8]) {
    hasher.update((bytes.len() as u64).to_be_bytes());
    hasher.update(bytes);
}

/// Hashes the first user message as it is sent, or the first item if there is none. It is the last field, so it needs
/// no length.
fn beginning(hasher: &mut Sha256, input: &[InputItem]) {
    struct Hashed<'a>(&'a mut Sha256);

    impl std::io::Write for Hashed<'_> {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    if let Some(first) = input.iter().find(|item| is_of_user(item)).or_else(|| input.first()) {
        // Writing an item cannot fail: it is made of JSON.
        let _ = serde_json::to_writer(Hashed(hasher), first);
    }
}

fn is_of_user(item: &InputItem) -> bool {
    match item {
        InputItem::Message(message) => message.role == Role::User,
        InputItem::Verbatim(item) => item.member("role").is_some_and(|role| role.get() == "\"user\""),
        InputItem::Reasoning(_) | InputItem::Call(_) | InputItem::Output(_) | InputItem::Opaque(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::ChatRequest;
    use crate::{Options, Profile, to_responses};

    fn request(turns: &[(&str, &str)]) -> ResponsesRequest {
        let messages: Vec<_> =
            turns.iter().map(|(role, text)| serde_json::json!({"role": role, "content": text})).collect();
        let body = serde_json::json!({"model": "m", "messages": messages}).to_string();
        let request = ChatRequest::from_json(body.as_bytes()).unwrap();
        to_responses(request, &Profile::permissive("m"), &Options::default()).unwrap().request
    }

    #[test]
    fn the_id_is_the_same_in_every_turn_and_differs_by_caller_and_conversation() {
        let first = request(&[("system", "be kind"), ("user", "hi")]);
        let second = request(&[("system", "be kind"), ("user", "hi"), ("assistant", "hello"), ("user", "bye")]);
        let other = request(&[("system", "be kind"), ("user", "hey")]);
        let seed = ConversationSeed::new("key", None, &first);
        assert_eq!(seed, ConversationSeed::new("key", None, &second));
        assert_ne!(seed, ConversationSeed::new("key", None, &other));
        assert_ne!(seed, ConversationSeed::new("other key", None, &first));
        assert_ne!(seed, ConversationSeed::new("key", Some("s"), &first));
        assert_ne!(ConversationSeed::new("a", Some("bc"), &first), ConversationSeed::new("ab", Some("c"), &first));
        assert_eq!(ConversationSeed::new("a", Some("s"), &first), ConversationSeed::new("a", Some("s"), &other));
    }

    #[test]
    fn the_id_has_the_shape_of_version_seven() {
        let seed = ConversationSeed::new("key", None, &request(&[("user", "hi")]));
        let id = conversation_id(&seed, 0x0123_4567_89ab);
        assert_eq!(&id[..15], "01234567-89ab-7");
        assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{id}");
        assert_eq!(id.len(), 36);
        assert_eq!(id, conversation_id(&seed, 0x0123_4567_89ab));
    }
}
