//! The tokenizer of all models of the backend, o200k, unpacked from the vocabulary that `build.rs` has packed.

use std::io::Read as _;
use std::sync::LazyLock;

use flate2::read::DeflateDecoder;
use tiktoken_rs::{CoreBPE, O200K_BASE_PAT_STR};

/// The tokens in the order of their ranks, each preceded by its length.
static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/o200k"));

/// The tokenizer, created on first use: that takes tens of megabytes and about a tenth of a second.
pub(crate) fn tokenizer() -> &'static CoreBPE {
    static TOKENIZER: LazyLock<CoreBPE> = LazyLock::new(|| {
        let tokens = unpack().into_iter().zip(0..).collect();
        // Users' texts are never parsed as special tokens, but the tokenizer requires one.
        let special = [("<|endoftext|>".to_owned(), 199_999)].into_iter().collect();
        CoreBPE::new(tokens, special, O200K_BASE_PAT_STR).expect("the pattern is tiktoken's own")
    });
    &TOKENIZER
}

fn unpack() -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    DeflateDecoder::new(PACKED).read_to_end(&mut bytes).expect("build.rs has packed it");
    let (mut tokens, mut rest) = (Vec::new(), &bytes[..]);
    while let [length, more @ ..] = rest {
        let (token, more) = more.split_at(usize::from(*length));
        tokens.push(token.to_vec());
        rest = more;
    }
    tokens
}

#[cfg(test)]
mod tests {
    use tiktoken_rs::Rank;

    use super::*;

    #[test]
    fn the_vocabulary_is_tiktokens_own() {
        let original = tiktoken_rs::o200k_base_singleton();
        let tokens = unpack();
        assert_eq!(tokens.len(), 199_998);
        for (rank, token) in tokens.iter().enumerate() {
            assert_eq!(original.decode_bytes(&[Rank::try_from(rank).unwrap()]).unwrap(), *token);
        }
        for text in
            ["", "Hello, world!", "日本語 und Öl\n\n  x", "<|endoftext|>", "fn main() { println!(\"{}\", 1_000) }"]
        {
            assert_eq!(tokenizer().encode_ordinary(text), original.encode_ordinary(text), "{text}");
        }
    }
}
