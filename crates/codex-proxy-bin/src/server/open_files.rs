//! The limit of open files: a connection is a file, to either side, and many systems start programs with 1,024.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is asked for where the hard limit allows more: both sides of all connections that a user may allow by default.
const WANTED: u64 = 65_536;

/// Raises the soft limit as far as it is useful and allowed. The children of this program do not matter here: it starts a
/// browser at most.
pub(crate) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let Some(raised) = raised(limit) else { return };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "cannot raise the limit of open files");
    }
}

/// `None` where it is high enough, or as high as it may be; no limit is `None` in [`Rlimit`].
fn raised(limit: Rlimit) -> Option<Rlimit> {
    let current = limit.current?;
    let wanted = limit.maximum.map_or(WANTED, |maximum| maximum.min(WANTED));
    (current < wanted).then_some(Rlimit { current: Some(wanted), ..limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_raised_to_what_is_useful_and_allowed() {
        let raised = |current, maximum| raised(Rlimit { current, maximum }).map(|limit| (limit.current, limit.maximum));
        assert_eq!(raised(Some(1024), Some(4096)), Some((Some(4096), Some(4096))));
        assert_eq!(raised(Some(1024), Some(1 << 20)), Some((Some(WANTED), Some(1 << 20))));
        assert_eq!(raised(Some(1024), None), Some((Some(WANTED), None)));
        assert_eq!(raised(Some(4096), Some(4096)), None);
        assert_eq!(raised(Some(1 << 20), Some(1 << 20)), None);
        assert_eq!(raised(None, None), None);
    }
}
