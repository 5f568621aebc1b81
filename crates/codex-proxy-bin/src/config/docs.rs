//! `docs/configuration.md`, from the table.

use std::fmt::{self, Write as _};

use super::setting::{Form, Setting};
use super::table::SETTINGS;

const HEAD: &str = "\
# Configuration

<!-- Made from crates/codex-proxy-bin/src/config/table.rs by `codex-proxy config docs`. -->

A flag comes before the environment, the environment before the file, and the file before the default. Programs on the desktop do
not see what your shell exports; the file is for them, too.

The file is `config.toml` in the home directory of the proxy, `~/.codex-proxy`, or what `--config FILE` or `CODEX_PROXY_CONFIG`
names:

```toml
port = 9000
api_key = \"a long random word\"

[aliases]
work = \"gpt-5.5-high\"
small = \"gpt-6-luna\"
```

A name that is not a setting is an error. A value that is empty counts as not given. A path may start with `~/`. Keep a file that
holds a key to yourself: `chmod 600 ~/.codex-proxy/config.toml`. `codex-proxy config show` prints what holds, and where it was
given.

| In the file | Flag | Environment | Default | What |
|-------------|------|-------------|---------|------|
";

const TAIL: &str = "
¹ A server that runs takes a new value when it gets SIGHUP (`systemctl --user reload codex-proxy`, or `kill -HUP`). For the
others, restart it.
";

/// The documentation of all settings.
pub fn markdown() -> String {
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
    let form = match setting.form {
        Form::One | Form::Path => "",
        Form::List => " In the file, an array of them, too.",
        Form::Table => " In the file, a table of them, too.",
    };
    writeln!(
        out,
        "| {name}{mark} | {} | {} | {} | {} Takes {}.{form} |",
        code(setting.flag.unwrap_or_default()),
        environment.join(", "),
        code(setting.default),
        setting.about,
        setting.takes(),
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
