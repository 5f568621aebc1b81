//! What error texts advise: only the server around the app knows how its key is set.

use std::borrow::Cow;

/// What error texts and the status page name as the next step. Without a name, they give no advice.
///
/// [`Advice::default`] names nothing. [`Advice::program`] names the program's own settings and commands, which is right
/// for a [`Config`](crate::Config) from the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advice {
    /// The setting with the API keys, as in "start codex-proxy with `CODEX_PROXY_API_KEY`".
    pub key_setting: Option<Cow<'static, str>>,
    /// The setting with the origins of web pages that may call.
    pub origins_setting: Option<Cow<'static, str>>,
    /// The command that finds out why the backend cannot be used.
    pub doctor_command: Option<Cow<'static, str>>,
    /// The command that shows the data of the status page.
    pub status_command: Option<Cow<'static, str>>,
}

impl Advice {
    /// Returns the settings and commands of the program `codex-proxy`.
    pub fn program() -> Self {
        Self {
            key_setting: Some("CODEX_PROXY_API_KEY".into()),
            origins_setting: Some("CODEX_PROXY_CORS_ORIGINS".into()),
            doctor_command: Some("codex-proxy doctor".into()),
            status_command: Some("codex-proxy status".into()),
        }
    }
}
