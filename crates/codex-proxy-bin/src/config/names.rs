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

/// The command that lists all settings, if there is one: only the program has it.
pub(super) type ListCommand = Option<&'static str>;

/// Returns the setting that is called `name`.
///
/// # Errors
/// There is none; the text says which one may be meant.
pub(super) fn in_code(name: &str, list: ListCommand) -> Result<&'static Setting, String> {
    find(name).ok_or_else(|| unknown(name, meant(name).map(|setting| setting.name), list))
}

/// Returns the setting that a file calls `name`.
///
/// # Errors
/// There is none, or a file cannot contain it; the text says which one may be meant, or what to set instead.
pub(super) fn in_file(name: &str, list: ListCommand) -> Result<&'static Setting, String> {
    match find(name) {
        Some(setting) if setting.in_file => Ok(setting),
        Some(setting) => Err(format!("{name} cannot be set in a file; set {}", setting.title())),
        None => Err(unknown(name, meant(name).map(Setting::name_in_file), list)),
    }
}

/// Checks that a variable of the environment is a setting, if it starts like one.
///
/// # Errors
/// It is not; the text says which one may be meant.
pub(super) fn in_environment(name: &OsStr, list: ListCommand) -> Result<(), String> {
    let shown = name.to_string_lossy();
    let mut known = SETTINGS.iter().flat_map(|setting| setting.env).chain(NOT_SETTINGS);
    if !shown.starts_with(PREFIX) || known.any(|known| environment::is(name, known)) {
        return Ok(());
    }
    Err(unknown(&shown, meant(&shown).map(Setting::title), list))
}

/// Returns whether a variable describes a service on the network. Kubernetes sets such variables in a pod for every
/// service of its namespace, and Docker for every link of a container; for a service called `codex-proxy` or
/// `codex-proxy-metrics`, they start like a setting.
pub(super) fn is_of_a_service(name: &OsStr, value: &OsStr) -> bool {
    const PROTOCOLS: [&str; 3] = ["tcp", "udp", "sctp"];
    let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else { return false };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // `..._PORT_8787_TCP_ADDR`
    let is_of_a_port = |(_, rest): (&str, &str)| {
        let mut words = rest.split('_');
        words.next().is_some_and(is_number)
            && words.next().is_some_and(|word| PROTOCOLS.iter().any(|name| word.eq_ignore_ascii_case(name)))
            && words.next().is_none_or(|word| matches!(word, "ADDR" | "PORT" | "PROTO"))
            && words.next().is_none()
    };
    let is_url = || PROTOCOLS.iter().any(|name| value.strip_prefix(name).is_some_and(|rest| rest.starts_with("://")));
    name.starts_with(PREFIX)
        && (name.ends_with("_SERVICE_HOST")
            || name.ends_with("_SERVICE_PORT")
            || name.contains("_SERVICE_PORT_")
            || name.rsplit_once("_PORT_").is_some_and(is_of_a_port)
            || (name.ends_with("_PORT") && is_url()))
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

fn unknown(name: &str, meant: Option<&str>, list: ListCommand) -> String {
    match (meant, list) {
        (Some(meant), _) => format!("`{name}` is not a setting; did you mean `{meant}`?"),
        (None, Some(command)) => format!("`{name}` is not a setting; `{command}` lists them"),
        (None, None) => format!("`{name}` is not a setting"),
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
        let check = |name: &str| in_environment(OsStr::new(name), None);
        for name in ["PATH", "CODEX_HOME", "CODEX_PROXY_HOME", "CODEX_PROXY_RELEASES", "CODEX_PROXYX"] {
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

    #[test]
    fn variables_of_services_on_the_network_are_not_the_users() {
        let check = |name: &str, value: &str| is_of_a_service(OsStr::new(name), OsStr::new(value));
        for service in ["CODEX_PROXY", "CODEX_PROXY_PROD", "CODEX_PROXY_METRICS_2"] {
            for (end, value) in [
                ("SERVICE_HOST", "10.0.0.1"),
                ("SERVICE_PORT", "8787"),
                ("SERVICE_PORT_HTTP_API", "8787"),
                ("PORT", "tcp://10.0.0.1:8787"),
                ("PORT_8787_TCP", "tcp://10.0.0.1:8787"),
                ("PORT_8787_TCP_ADDR", "10.0.0.1"),
                ("PORT_8787_TCP_PORT", "8787"),
                ("PORT_53_UDP_PROTO", "udp"),
            ] {
                assert!(check(&format!("{service}_{end}"), value), "{service}_{end}");
            }
        }
        for (name, value) in [
            ("CODEX_PROXY_PORT", "8787"),
            ("CODEX_PROXY_HTTP_PORT", "8787"),
            ("CODEX_PROXY_PORT_HTTP", "8787"),
            ("CODEX_PROXY_PORT_8787", "8787"),
            ("CODEX_PROXY_HOST", "0.0.0.0"),
            ("CODEX_PROXY_UPSTREAM_URL", "tcp://10.0.0.1:8787"),
            ("OTHER_SERVICE_HOST", "10.0.0.1"),
        ] {
            assert!(!check(name, value), "{name}");
        }
    }
}
