//! Encrypted reasoning, bound to the account and the model family that produced it (`docs/backend.md` §2.7).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The beginning of every real encrypted content (a Fernet token).
const PREFIX: &str = "gAAAAAB";

/// Encodes `thought` with its account and model family, which [`rejection`] checks.
pub(crate) fn encrypt(account_id: &str, family: &str, thought: &str) -> String {
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(format!("{account_id}\n{family}\n{thought}")))
}

/// Returns why encrypted content is rejected, in the words of the real message; `None` if it is accepted.
pub(crate) fn rejection(content: &str, account_id: &str, family: &str) -> Option<&'static str> {
    let opened = content.strip_prefix(PREFIX).and_then(|rest| URL_SAFE_NO_PAD.decode(rest).ok());
    let Some(text) = opened.and_then(|bytes| String::from_utf8(bytes).ok()) else {
        return Some("Encrypted content could not be decrypted or parsed.");
    };
    let mut parts = text.splitn(3, '\n');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(account), Some(model), Some(_)) if account == account_id && model == family => None,
        (Some(account), Some(_), Some(_)) if account == account_id => {
            Some("Encrypted content model did not match the target model.")
        }
        (Some(_), Some(_), Some(_)) => Some("Encrypted content organization_id did not match the target organization."),
        _ => Some("Encrypted content could not be decrypted or parsed."),
    }
}
