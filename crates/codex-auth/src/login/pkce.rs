//! Proof Key for Code Exchange (RFC 7636) and the `state` parameter (RFC 6749 section 10.12).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::secret::Secret;

/// The code verifier: 64 random bytes, 86 characters (RFC 7636 section 4.1; `docs/backend.md §1.2`).
#[derive(Clone, Debug)]
pub struct PkceVerifier(Secret);

impl PkceVerifier {
    /// Creates a verifier with `random`, which fills the buffer with unpredictable bytes.
    pub fn new(random: &mut impl FnMut(&mut [u8])) -> Self {
        let mut bytes = zeroize::Zeroizing::new([0; 64]);
        random(bytes.as_mut_slice());
        Self(Secret::new(URL_SAFE_NO_PAD.encode(bytes.as_slice())))
    }

    /// Returns the challenge for the authorization URL.
    #[must_use]
    pub fn challenge(&self) -> PkceChallenge {
        PkceChallenge::of(self.0.expose())
    }

    /// Returns the value for the token exchange.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.0
    }
}

/// The code challenge by the S256 method (RFC 7636 section 4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PkceChallenge(String);

impl PkceChallenge {
    /// Returns the challenge as it appears in the URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of(verifier: &str) -> Self {
        Self(URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)))
    }
}

/// The `state` parameter, which ties a callback to its login: 32 random bytes, 43 characters (`docs/backend.md §1.2`).
#[derive(Clone)]
pub struct OAuthState(String);

impl OAuthState {
    /// The one suffix that the authority may append to the state (`docs/backend.md §1.3`).
    const ONBOARDING_SUFFIX: &'static str = ".onboarding_entrypoint=life_sciences";

    /// Creates a state with `random`, which fills the buffer with unpredictable bytes.
    pub fn new(random: &mut impl FnMut(&mut [u8])) -> Self {
        let mut bytes = [0; 32];
        random(&mut bytes);
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Returns the state as it appears in the URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether a callback contains this state, in time that does not depend on where the two differ.
    #[must_use]
    pub fn accepts(&self, returned: &str) -> bool {
        let returned = returned.strip_suffix(Self::ONBOARDING_SUFFIX).unwrap_or(returned);
        self.0.as_bytes().ct_eq(returned.as_bytes()).into()
    }
}

impl fmt::Debug for OAuthState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OAuthState([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(fill: u8) -> impl FnMut(&mut [u8]) {
        move |buffer| buffer.fill(fill)
    }

    #[test]
    fn the_challenge_matches_rfc_7636_appendix_b() {
        let challenge = PkceChallenge::of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge.as_str(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn the_onboarding_suffix_is_accepted_and_no_other() {
        let state = OAuthState::new(&mut bytes(1));
        let accepts = |suffix: &str| state.accepts(&format!("{}{suffix}", state.as_str()));
        assert!(accepts(""));
        assert!(accepts(".onboarding_entrypoint=life_sciences"));
        assert!(!accepts(".onboarding_entrypoint=other"));
        assert!(!accepts("x"));
        assert!(!state.accepts(""));
    }

    #[test]
    fn debug_shows_neither_verifier_nor_state() {
        let (verifier, state) = (PkceVerifier::new(&mut bytes(1)), OAuthState::new(&mut bytes(1)));
        let text = format!("{verifier:?} {state:?}");
        assert!(!text.contains(verifier.secret().expose()));
        assert!(!text.contains(state.as_str()));
    }

    proptest! {
        #[test]
        fn every_seed_gives_values_of_the_rfc_alphabet_and_length(seed in any::<u8>()) {
            let unreserved = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
            let verifier = PkceVerifier::new(&mut bytes(seed));
            prop_assert_eq!(verifier.secret().expose().len(), 86);
            prop_assert!(verifier.secret().expose().chars().all(unreserved));
            prop_assert_eq!(verifier.challenge().as_str().len(), 43);
            let state = OAuthState::new(&mut bytes(seed));
            prop_assert_eq!(state.as_str().len(), 43);
            prop_assert!(state.as_str().chars().all(unreserved));
        }
    }
}
