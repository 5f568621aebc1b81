//! Finds the setting that a name means. A name that no setting has is an error, wherever it stands, and suggests one.

use std::ffi::OsStr;

use crate::config::environment;
use crate::config::nearest;
use crate::config::setting::Setting;
use crate::config::table::SETTINGS;

/// How the variables of the program's own settings start.
const PREFIX: &str = "CODEX_PROXY_";

/// `contrib/install.sh` reads this one.
const NOT_SETTINGS: &[&str] = &["CODEX_PROXY_RELEASES"];

/// Kubernetes and Docker describe a service called `codex-proxy` in variables that start like these.
const OF_A_SERVICE: &[&str] = &["CODEX_PROXY_PORT_", "CODEX_PROXY_SERVICE_"];

/// Returns the setting that is called `name`.
///
/// # Errors
/// There is none; the text says which one may be meant.
pub(super) fn in_code(name: &str) -> Result<&'static Setting, String> {
    find(name).ok_or_else(|| unknown(name, meant(name).map(|setting| setting.name)))
}

/// Returns the setting that a file calls `name`.
///
/// # Errors
/// There is none, or a file cannot contain it; the text says which one may be meant, or what to set instead.
pub(super) fn in_file(name: &str) -> Result<&'static Setting, String> {
    match find(name) {
        Some(setting) if setting.in_file => Ok(setting),
        Some(setting) => Err(format!("{name} cannot be set in a file; set {}", setting.title())),
        None => Err(unknown(name, meant(name).map(Setting::name_in_file))),
    }
}

/// Checks that a variable of the environment is a setting, if it starts like one.
///
/// # Errors
/// It is not; the text says which one may be meant.
pub(super) fn in_environment(name: &OsStr) -> Result<(), String> {
    let shown = name.to_string_lossy();
    let is_ours = shown.starts_with(PREFIX) && !OF_A_SERVICE.iter().any(|start| shown.starts_with(start));
    let mut known = SETTINGS.iter().flat_map(|setting| setting.env).chain(NOT_SETTINGS);
    if !is_ours || known.any(|known| environment::is(name, known)) {
        return Ok(());
    }
    Err(unknown(&shown, meant(&shown).map(Setting::title)))
}

impl Setting {
    /// Returns the name that a user would look for: the variable, if any, otherwise the name.
    pub(super) fn title(&self) -> &'static str {
        self.env.first().copied().unwrap_or(self.name)
    }

    /// Returns the name in the file; if it cannot be there, the one that a user would look for.
    pub(super) fn name_in_file(&self) -> &'static str {
        if self.in_file { self.name } else { self.title() }
    }
}

fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

/// Returns the setting that somebody means by `given`: written like a flag or a variable, without its last words, or
/// mistyped.
fn meant(given: &str) -> Option<&'static Setting> {
    let word = given.trim_start_matches('-').replace('-', "_").to_ascii_lowercase();
    let word = word.strip_prefix("codex_proxy_").unwrap_or(&word);
    let names = || SETTINGS.iter().map(|setting| setting.name);
    let is_start = |name: &&str| name.strip_prefix(word).is_some_and(|rest| rest.starts_with('_'));
    let longer = || names().filter(is_start).min_by_key(|name| name.len());
    find(word).or_else(|| find(longer().or_else(|| nearest::name(word, names()))?))
}

fn unknown(name: &str, meant: Option<&str>) -> String {
    match meant {
        Some(meant) => format!("`{name}` is not a setting; did you mean `{meant}`?"),
        None => format!("`{name}` is not a setting; `codex-proxy config show` lists them"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_no_setting_suggests_one() {
        for (given, expected) in [
            ("prot", Some("port")),
            ("upstream", Some("upstream_url")),
            ("--log-format", Some("log_format")),
            ("CODEX_PROXY_API_KEY", Some("api_key")),
            ("CODEX_PROXY_AUTH", Some("auth_url")),
            ("CODEX_PROXY_MAX_BODY", Some("max_body_mib")),
            ("HTTPS_PROXY", Some("https_proxy")),
            ("zzzzzzzz", None),
        ] {
            assert_eq!(meant(given).map(|setting| setting.name), expected, "{given}");
        }
    }

    #[test]
    fn only_variables_that_start_like_a_setting_are_checked() {
        let check = |name: &str| in_environment(OsStr::new(name));
        for name in ["PATH", "CODEX_HOME", "CODEX_PROXY_HOME", "CODEX_PROXY_RELEASES", "CODEX_PROXYX"] {
            assert_eq!(check(name), Ok(()));
        }
        // A pod's variables for a service in its namespace.
        for name in ["CODEX_PROXY_SERVICE_HOST", "CODEX_PROXY_PORT_8787_TCP_ADDR"] {
            assert_eq!(check(name), Ok(()));
        }
        for (name, meant) in [
            ("CODEX_PROXY_UPSTREAM", "`CODEX_PROXY_UPSTREAM_URL`"),
            ("CODEX_PROXY_AUTH", "`CODEX_PROXY_AUTH_URL`"),
            ("CODEX_PROXY_CODEX_HOME", "`CODEX_HOME`"),
            ("CODEX_PROXY_HTTPS_PROXY", "`https_proxy`"),
        ] {
            assert!(check(name).unwrap_err().contains(meant), "{name}");
        }
    }
}
