//! The user's session: their directories, and whether a browser and colours can be used.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::config::environment::Environment;

/// What the environment says of the session in which the program runs.
#[derive(Debug)]
pub(crate) struct UserSession {
    /// The user's home directory (`HOME`, `USERPROFILE`).
    pub(crate) home: Option<PathBuf>,
    /// Where the user's programs keep their configuration (`XDG_CONFIG_HOME`, else `~/.config`).
    pub(crate) config_directory: Option<PathBuf>,
    /// Why no browser can be opened here, if that is so (`BROWSER`, `DISPLAY`, `SSH_CONNECTION` and the like).
    pub(crate) no_browser: Option<&'static str>,
    /// Whether to avoid colours even on a terminal (`NO_COLOR`, `TERM=dumb`).
    pub(crate) no_color: bool,
}

impl UserSession {
    /// Detects the session from the variables of its environment.
    pub(crate) fn detect(env: &Environment) -> Self {
        let home = env.user_home();
        // The XDG base directories: a relative path is ignored.
        let config = env.get("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        Self {
            config_directory: config.or_else(|| Some(home.as_ref()?.join(".config"))),
            home,
            no_browser: without_browser(env, is_container()),
            no_color: without_color(env),
        }
    }
}

/// Returns why no browser can be opened here, or `None` if one can, as far as can be detected.
///
/// A `BROWSER` that is set takes precedence: editors that set it over SSH or in a container provide a way to open one.
fn without_browser(env: &Environment, is_container: bool) -> Option<&'static str> {
    if env.has("BROWSER") {
        return None;
    }
    if env.has("SSH_CONNECTION") || env.has("SSH_TTY") {
        return Some("this is an SSH session");
    }
    if is_container || env.has("container") || env.has("KUBERNETES_SERVICE_HOST") {
        return Some("this is a container");
    }
    let has_display = ["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"].into_iter().any(|name| env.has(name));
    // macOS and Windows have a desktop unless one of the above says otherwise.
    let needs_display = cfg!(all(unix, not(target_os = "macos")));
    (needs_display && !has_display).then_some("there is no display here")
}

/// Returns whether to avoid colours even on a terminal (no-color.org).
fn without_color(env: &Environment) -> bool {
    env.has("NO_COLOR") || env.get("TERM").is_some_and(|terminal| terminal == "dumb")
}

/// Returns whether Docker or Podman left its marker file.
fn is_container() -> bool {
    ["/.dockerenv", "/run/.containerenv"].into_iter().map(OsStr::new).any(|mark| Path::new(mark).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(set: &[&str], is_container: bool) -> Option<&'static str> {
        without_browser(&set.iter().map(|name| (name, "x")).collect(), is_container)
    }

    #[test]
    fn ssh_containers_and_machines_without_display_have_no_browser() {
        assert_eq!(reason(&["SSH_CONNECTION", "DISPLAY"], false), Some("this is an SSH session"));
        assert_eq!(reason(&["DISPLAY"], true), Some("this is a container"));
        assert_eq!(reason(&["KUBERNETES_SERVICE_HOST"], false), Some("this is a container"));
        assert_eq!(reason(&["DISPLAY"], false), None);
        assert_eq!(reason(&["WAYLAND_DISPLAY"], false), None);
    }

    #[test]
    fn colours_can_be_disabled() {
        let refused = |name: &str, value: &str| without_color(&[(name, value)].into_iter().collect());
        assert!(refused("NO_COLOR", "1") && refused("TERM", "dumb"));
        assert!(!refused("NO_COLOR", "") && !refused("TERM", "xterm"));
    }

    #[cfg(all(unix, not(target_os = "macos")))]
    #[test]
    fn without_a_display_there_is_no_browser() {
        assert_eq!(reason(&[], false), Some("there is no display here"));
        assert_eq!(reason(&["WSL_DISTRO_NAME"], false), None);
    }

    #[test]
    fn a_browser_that_is_set_can_be_opened_anywhere() {
        assert_eq!(reason(&["BROWSER", "SSH_CONNECTION"], true), None);
    }

    #[test]
    fn the_configuration_is_in_the_home_directory_unless_an_absolute_path_is_set() {
        let directory = |config: &str| {
            let env = [("HOME", "/home/ada"), ("XDG_CONFIG_HOME", config)].into_iter().collect();
            UserSession::detect(&env).config_directory
        };
        assert_eq!(directory("/config"), Some(PathBuf::from("/config")));
        assert_eq!(directory("config"), Some(PathBuf::from("/home/ada/.config")));
        assert_eq!(UserSession::detect(&Environment::default()).config_directory, None);
    }
}
