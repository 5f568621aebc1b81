//! Packs the vocabulary of the tokenizer, whose own form, lines of base64, would be a quarter of the program.

#![expect(clippy::disallowed_methods, reason = "the crate is pure, the making of it is not")]

use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::DeflateEncoder;

/// Writes the tokens in the order of their ranks, each preceded by its length.
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let tokenizer = tiktoken_rs::o200k_base()?;
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
    // A gap separates the last rank from the special tokens.
    for token in (0..).map_while(|rank| tokenizer.decode_bytes(&[rank]).ok()) {
        packed.write_all(&[u8::try_from(token.len())?])?;
        packed.write_all(&token)?;
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("no OUT_DIR")?);
    std::fs::write(out.join("o200k"), packed.finish()?)?;
    Ok(())
}
