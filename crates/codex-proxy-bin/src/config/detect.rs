//! Detects whether a browser can be opened where the program runs, and whether to use colours.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// Looks up an environment variable; a parameter so that tests need not change the process's own.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Returns why no browser can be opened here, or `None` if one can, as far as can be detected.
///
/// A `BROWSER` that is set takes precedence: editors that set it over SSH or in a container provide a way to open one.
pub(super) fn without_browser(env: Env<'_>, is_container: bool) -> Option<&'static str> {
    let is_set = |name: &str| env(name).is_some_and(|value| !value.is_empty());
    if is_set("BROWSER") {
        return None;
    }
    if is_set("SSH_CONNECTION") || is_set("SSH_TTY") {
        return Some("this is an SSH session");
    }
    if is_container || is_set("container") || is_set("KUBERNETES_SERVICE_HOST") {
        return Some("this is a container");
    }
    let has_display = ["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"].into_iter().any(is_set);
    // macOS and Windows have a desktop unless one of the above says otherwise.
    let needs_display = cfg!(all(unix, not(target_os = "macos")));
    (needs_display && !has_display).then_some("there is no display here")
}

/// Returns whether to avoid colours even on a terminal (no-color.org).
pub(super) fn without_color(env: Env<'_>) -> bool {
    env("NO_COLOR").is_some_and(|value| !value.is_empty()) || env("TERM").is_some_and(|terminal| terminal == "dumb")
}

/// Returns whether Docker or Podman left its marker file.
pub(super) fn is_container() -> bool {
    ["/.dockerenv", "/run/.containerenv"].into_iter().map(OsStr::new).any(|mark| Path::new(mark).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(set: &[&str], is_container: bool) -> Option<&'static str> {
        without_browser(&|name| set.contains(&name).then(|| OsString::from("x")), is_container)
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
        let refused = |name: &str, value: &str| without_color(&|asked| (asked == name).then(|| OsString::from(value)));
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
}
