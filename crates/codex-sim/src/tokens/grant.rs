//! The login behind a set of tokens.

use std::time::Duration;

/// One login. The tokens refreshed from its tokens share it.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) id: u64,
    pub(crate) account_id: String,
    pub(crate) email: String,
    pub(crate) plan_type: String,
    pub(crate) fedramp: bool,
    pub(crate) lifetime: Duration,
}

impl Grant {
    pub(crate) fn user_id(&self) -> String {
        let short: String = self.account_id.chars().filter(char::is_ascii_alphanumeric).take(24).collect();
        format!("user-{short}")
    }
}
