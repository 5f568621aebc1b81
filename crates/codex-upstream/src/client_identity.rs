//! The client that the backend sees, as one value.

use codex_auth::AuthConfig;

/// The originator of the official client in interactive use (`docs/backend.md §2.2`).
pub const DEFAULT_ORIGINATOR: &str = "codex-tui";

/// A client version that the newest catalogue accepts for all its models (`docs/backend.md §5.3`, `§9`).
pub const DEFAULT_VERSION: &str = "0.171.0";

/// The terminal in the user agent. A proxy has none, and the backend ignores it.
const TERMINAL: &str = "xterm-256color";

/// The client that requests claim to come from.
///
/// Use the same value for listing models and for turns: the backend hides and refuses models whose
/// `minimal_client_version` is above [`version`](Self::version) (`docs/backend.md §5.3`). The TLS and HTTP/2 layers are
/// chosen separately, by [`Emulation`](crate::Emulation).
///
/// The official client has two names. Right after startup, and when it refreshes or revokes a login, it is
/// `codex_cli_rs` ([`STARTUP_ORIGINATOR`](Self::STARTUP_ORIGINATOR)). Turns and the other requests to the backend have
/// the name of the user interface, and repeat it at the end of the user agent.
///
/// ```
/// use codex_upstream::ClientIdentity;
///
/// let identity = ClientIdentity::configured("codex_exec", "0.171.0")?;
/// assert!(identity.user_agent.starts_with("codex_exec/0.171.0 ("));
/// assert!(identity.user_agent.ends_with(" (codex_exec; 0.171.0)"));
/// assert!(identity.startup_user_agent.starts_with("codex_cli_rs/0.171.0 ("));
/// assert!(ClientIdentity::configured("codex_exec", "latest").is_err());
/// # Ok::<(), codex_upstream::InvalidIdentity>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The value of the `originator` header of turns.
    pub originator: String,
    /// The client version, as in `0.171.0`.
    pub version: String,
    /// The value of the `user-agent` header of turns.
    pub user_agent: String,
    /// The value of the `user-agent` header until the first turn, and at the auth server:
    /// [`AuthConfig::user_agent`].
    pub startup_user_agent: String,
}

impl ClientIdentity {
    /// The originator until the first turn, and at the auth server.
    pub const STARTUP_ORIGINATOR: &'static str = AuthConfig::ORIGINATOR;

    /// Creates the identity of a client on this operating system.
    ///
    /// The user agent is `{originator}/{version} ({os} {os version}; {arch}) {terminal} ({originator}; {version})`
    /// (`docs/backend.md §2.2`). On Linux the system's name and version come from `/etc/os-release`, on macOS from its
    /// version property list.
    #[must_use]
    pub fn new(originator: &str, version: &str) -> Self {
        Self::on(originator, version, &Os::running())
    }

    /// Creates an identity from configured values, after checking them.
    ///
    /// # Errors
    /// [`InvalidIdentity`], which names the invalid part.
    pub fn configured(originator: &str, version: &str) -> Result<Self, InvalidIdentity> {
        // A slash would end the name in the user agent.
        let is_name = |c: char| c == ' ' || c.is_ascii_graphic() && c != '/';
        if originator.trim() != originator || originator.is_empty() || !originator.chars().all(is_name) {
            return Err(InvalidIdentity::Originator);
        }
        let (core, suffix) = version.split_once('-').unwrap_or((version, "x"));
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let is_suffix = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        if core.split('.').count() != 3 || !core.split('.').all(is_number) || !suffix.chars().all(is_suffix) {
            return Err(InvalidIdentity::Version);
        }
        Ok(Self::new(originator, version))
    }

    fn on(originator: &str, version: &str, os: &Os) -> Self {
        let Os { name, version: os_version, arch } = os;
        let system = format!("({name} {os_version}; {arch}) {TERMINAL}");
        Self {
            originator: originator.to_owned(),
            version: version.to_owned(),
            user_agent: format!("{originator}/{version} {system} ({originator}; {version})"),
            startup_user_agent: format!("{}/{version} {system}", Self::STARTUP_ORIGINATOR),
        }
    }
}

impl Default for ClientIdentity {
    /// Returns the newest official client that this crate knows.
    fn default() -> Self {
        Self::new(DEFAULT_ORIGINATOR, DEFAULT_VERSION)
    }
}

/// An identity with an invalid part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidIdentity {
    /// The originator is not valid in a header and a user agent.
    #[error("the originator is not a name of visible ASCII characters without a slash, such as {DEFAULT_ORIGINATOR}")]
    Originator,
    /// The version does not have three numbers.
    #[error("the client version does not have three numbers, as in {DEFAULT_VERSION}")]
    Version,
}

/// An operating system as the official client names it.
struct Os {
    name: String,
    version: String,
    arch: &'static str,
}

impl Os {
    fn running() -> Self {
        match std::env::consts::OS {
            "linux" => Self::from_os_release(&std::fs::read_to_string("/etc/os-release").unwrap_or_default()),
            "macos" => Self::from_system_version(
                &std::fs::read_to_string("/System/Library/CoreServices/SystemVersion.plist").unwrap_or_default(),
            ),
            "windows" => Self::named("Windows", "10.0"),
            _ => Self::named("Unknown", ""),
        }
    }

    fn named(name: &str, version: &str) -> Self {
        let arch = match (std::env::consts::OS, std::env::consts::ARCH) {
            ("macos", "aarch64") => "arm64",
            (_, arch) => arch,
        };
        Self { name: name.to_owned(), version: three_parts(version), arch }
    }

    /// Parses the `KEY=value` lines of os-release(5). An unknown distribution is `Linux`.
    fn from_os_release(text: &str) -> Self {
        let field = |key: &str| {
            text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).map(|value| value.trim_matches('"'))
        };
        let name = match field("ID") {
            Some("debian") => "Debian",
            Some("ubuntu") => "Ubuntu",
            Some("fedora") => "Fedora",
            Some("arch") => "Arch Linux",
            Some("alpine") => "Alpine Linux",
            Some("rhel") => "Red Hat Enterprise Linux",
            Some("nixos") => "NixOS",
            Some(_) | None => "Linux",
        };
        Self::named(name, field("VERSION_ID").unwrap_or_default())
    }

    fn from_system_version(plist: &str) -> Self {
        let version = plist
            .split_once("<key>ProductVersion</key>")
            .and_then(|(_, rest)| rest.split_once("<string>"))
            .and_then(|(_, rest)| rest.split_once("</string>"))
            .map_or("", |(version, _)| version);
        Self::named("Mac OS", version)
    }
}

/// Formats `24.04` as `24.4.0`, as the official client does (`docs/backend.md §2.2`).
fn three_parts(version: &str) -> String {
    let mut parts = version.split('.').map(|part| part.trim().parse::<u32>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    format!("{}.{}.{}", next(), next(), next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_agent_has_the_form_of_the_official_client() {
        let rows = [
            ("ID=debian\nVERSION_ID=\"12\"\n", "Debian 12.0.0"),
            ("PRETTY_NAME=\"x\"\nID=ubuntu\nVERSION_ID=\"24.04\"\n", "Ubuntu 24.4.0"),
            ("ID=unheard-of\nVERSION_ID=3.20.1\n", "Linux 3.20.1"),
            ("", "Linux 0.0.0"),
        ];
        for (os_release, expected) in rows {
            let os = Os { arch: "x86_64", ..Os::from_os_release(os_release) };
            let identity = ClientIdentity::on("codex-tui", "0.171.0", &os);
            let system = format!("({expected}; x86_64) xterm-256color");
            assert_eq!(identity.user_agent, format!("codex-tui/0.171.0 {system} (codex-tui; 0.171.0)"));
            assert_eq!(identity.startup_user_agent, format!("codex_cli_rs/0.171.0 {system}"));
        }
    }

    #[test]
    fn macos_version_comes_from_the_property_list() {
        let plist =
            "<dict><key>ProductName</key><string>macOS</string><key>ProductVersion</key>\n<string>15.1</string>";
        let os = Os::from_system_version(plist);
        assert_eq!((os.name.as_str(), os.version.as_str()), ("Mac OS", "15.1.0"));
    }

    #[test]
    fn a_configured_identity_is_checked() {
        for (originator, version) in [("codex_exec", "0.170.0"), ("Codex Desktop", "1.2.3-alpha.4")] {
            let identity = ClientIdentity::configured(originator, version).unwrap();
            assert_eq!((&*identity.originator, &*identity.version), (originator, version));
            assert!(identity.user_agent.starts_with(&format!("{originator}/{version} (")));
            assert!(identity.user_agent.ends_with(&format!(" ({originator}; {version})")));
            assert!(identity.startup_user_agent.starts_with(&format!("codex_cli_rs/{version} (")));
        }
        for originator in ["", " x", "a/b", "é", "a\nb"] {
            assert_eq!(
                ClientIdentity::configured(originator, "0.1.2"),
                Err(InvalidIdentity::Originator),
                "{originator:?}"
            );
        }
        for version in ["", "1", "0.169", "0.169.0.1", "v0.169.0", "0..1", "0.1.2-é", "0.1.2 "] {
            assert_eq!(ClientIdentity::configured("x", version), Err(InvalidIdentity::Version), "{version:?}");
        }
    }

    #[test]
    fn the_default_identity_is_header_safe() {
        let identity = ClientIdentity::default();
        for value in [&identity.originator, &identity.version, &identity.user_agent, &identity.startup_user_agent] {
            assert!(http::HeaderValue::from_str(value).is_ok(), "{value:?}");
        }
        assert!(identity.user_agent.starts_with("codex-tui/0.171.0 ("));
    }
}
