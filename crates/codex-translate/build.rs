//! Packs the vocabulary of the tokenizer, whose own form, lines of base64, would be a quarter of the program.

#![cfg_attr(
    feature = "tokens",
    expect(clippy::disallowed_methods, reason = "the crate is pure, the making of it is not")
)]

/// Writes the tokens in the order of their ranks, each preceded by its length.
#[cfg(feature = "tokens")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::io::Write as _;

    println!("cargo::rerun-if-changed=build.rs");
    let tokenizer = tiktoken_rs::o200k_base()?;
    let mut packed = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    // A gap separates the last rank from the special tokens.
    for token in (0..).map_while(|rank| tokenizer.decode_bytes(&[rank]).ok()) {
        packed.write_all(&[u8::try_from(token.len())?])?;
        packed.write_all(&token)?;
    }
    let out = std::path::PathBuf::from(std::env::var_os("OUT_DIR").ok_or("no OUT_DIR")?);
    std::fs::write(out.join("o200k"), packed.finish()?)?;
    Ok(())
}

/// Does nothing: without the feature `tokens` there is no tokenizer.
#[cfg(not(feature = "tokens"))]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
