//! The limit of open files: each side of a connection counts as one, and many systems start programs with 1,024.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit to set if the hard limit allows it: both sides of all connections that the default settings allow.
const WANTED: u64 = 65_536;

/// Raises the soft limit as far as is useful and allowed. Child processes inherit it, but the only one is a browser.
pub(crate) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let Some(raised) = raised(limit) else { return };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "cannot raise the limit of open files");
    }
}

/// Returns the raised limit; `None` if it is high enough, or cannot be raised. In [`Rlimit`], `None` means unlimited.
fn raised(limit: Rlimit) -> Option<Rlimit> {
    let current = limit.current?;
    let wanted = limit.maximum.map_or(WANTED, |maximum| maximum.min(WANTED));
    (current < wanted).then_some(Rlimit { current: Some(wanted), ..limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_it_is_useful_and_allowed() {
        let raised = |current, maximum| raised(Rlimit { current, maximum }).map(|limit| (limit.current, limit.maximum));
        assert_eq!(raised(Some(1024), Some(4096)), Some((Some(4096), Some(4096))));
        assert_eq!(raised(Some(1024), Some(1 << 20)), Some((Some(WANTED), Some(1 << 20))));
        assert_eq!(raised(Some(1024), None), Some((Some(WANTED), None)));
        assert_eq!(raised(Some(4096), Some(4096)), None);
        assert_eq!(raised(Some(1 << 20), Some(1 << 20)), None);
        assert_eq!(raised(None, None), None);
    }
}
