//! Generates `docs/configuration.md` from the table of settings.

use std::fmt::{self, Write as _};

use crate::config::setting::{Setting, ValueShape};
use crate::config::table::SETTINGS;

const HEAD: &str = "\
# Configuration

<!-- Generated from crates/codex-proxy-bin/src/config/table.rs by `codex-proxy config docs`. -->

Flags override environment variables, which override the configuration file, which overrides the defaults. Use the file
for desktop programs, which do not see the variables that your shell exports.

The configuration file is `config.toml` in the home directory of the proxy, `~/.codex-proxy`, unless `--config FILE` or
`CODEX_PROXY_CONFIG` names another:

```toml
port = 9000
api_key = \"a long random word\"

[aliases]
work = \"gpt-5.5-high\"
small = \"gpt-6-luna\"
```

Unknown names are errors, in the file and of variables that start with `CODEX_PROXY_`. Empty values are ignored. A path may start with `~/`. If the file contains a key, make it
readable only by you: `chmod 600 ~/.codex-proxy/config.toml`. `codex-proxy config show` prints the settings in effect and
where each was set.

| In the file | Flag | Environment | Default | Value | Description |
|-------------|------|-------------|---------|-------|-------------|
";

const TAIL: &str = "
## Which fingerprint to use

All requests carry the headers of the Codex client. `emulate` sets the TLS and HTTP/2 fingerprint of the connection:

- `chrome`, the default, is a browser's fingerprint, like the earlier Python program. Cloudflare may challenge
  fingerprints that it does not know. However, no real client sends Codex headers from a browser, and a public report
  names that mismatch as the reason for blocked accounts (`icebear0828/codex-proxy#245`).
- `codex` is the official client's fingerprint, so connection and headers match. It is the better choice if you want to
  avoid that mismatch, or if requests get a challenge (403) on a network where the official client works.
- `none` is the fingerprint of the TLS library, for debugging.

## Reloading

¹ `SIGHUP` reloads this setting in a running server (`systemctl --user reload codex-proxy`, or `kill -HUP`). All other
settings need a restart.
";

/// Returns the documentation of all settings, as Markdown.
pub(crate) fn markdown() -> String {
    let mut text = String::from(HEAD);
    for setting in SETTINGS {
        // Writing to a string cannot fail.
        let _ = row(setting, &mut text);
    }
    text.push_str(TAIL);
    text
}

fn row(setting: &Setting, out: &mut String) -> fmt::Result {
    let code = |text: &str| if text.is_empty() { String::new() } else { format!("`{text}`") };
    let name = if setting.in_file { code(setting.name) } else { String::new() };
    let mark = if setting.reloads { "¹" } else { "" };
    let environment: Vec<_> = setting.env.iter().map(|name| code(name)).collect();
    let default = if setting.default.is_empty() { setting.default_in_words.to_owned() } else { code(setting.default) };
    let form = match setting.shape {
        ValueShape::One | ValueShape::Path => "",
        ValueShape::List => "; in the file, also an array",
        ValueShape::Table => "; in the file, also a table",
    };
    writeln!(
        out,
        "| {name}{mark} | {} | {} | {default} | {}{form} | {} |",
        code(setting.flag.unwrap_or_default()),
        environment.join(", "),
        setting.accepts(),
        setting.about,
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_documentation_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert!(found == markdown(), "run: cargo run -p codex-proxy-bin -- config docs > docs/configuration.md");
    }
}
