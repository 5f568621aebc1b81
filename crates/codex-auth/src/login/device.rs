//! Login by a code that the user enters on another device (`docs/backend.md §1.8`).

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Deserialize;
use tokio::time::Instant;

use crate::clock::{Clock, later, read_clock};
use crate::config::AuthConfig;
use crate::endpoint::send_with_timeout;
use crate::http_client::{HttpClient, HttpClientError};
use crate::login::callback::AuthorizationCode;
use crate::login::{Account, LoginError, exchange_code, store_login};
use crate::response::{EndpointError, OAuthErrorBody};
use crate::secret::Secret;
use crate::store::{TokenStore, check_writable};
use crate::{lenient_json, requests};

/// How long a code is valid: the default if the auth server does not say, and the maximum.
const VALID_FOR: Duration = Duration::from_secs(15 * 60);
/// The pause between polls if the auth server does not say.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
/// The shortest pause between polls.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// What `slow_down` adds to the pause (RFC 8628 section 3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);
/// The time limit of each request.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A device login that waits for the user to enter the code.
///
/// ```no_run
/// use codex_auth::{AuthConfig, DeviceLogin, HttpClient, LoginError, MemoryStore, SystemClock};
///
/// async fn log_in(http: impl HttpClient, config: AuthConfig) -> Result<(), LoginError> {
///     let login = DeviceLogin::start(&config, &http, &SystemClock).await?;
///     println!("enter {} at {}", login.user_code(), login.verification_url());
///     login.complete(&http, &MemoryStore::default(), &SystemClock).await?;
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct DeviceLogin {
    config: AuthConfig,
    grant: DeviceGrant,
    deadline: Instant,
}

impl DeviceLogin {
    /// Requests a code from the auth server.
    ///
    /// # Errors
    /// [`LoginError::DeviceUnsupported`]: log in with a browser. [`LoginError::Exchange`]: try again later.
    pub async fn start<H: HttpClient>(config: &AuthConfig, http: &H, clock: &impl Clock) -> Result<Self, LoginError> {
        let request = requests::device_code_request(config).map_err(HttpClientError::from)?;
        let grant = DeviceGrant::parse(&send_with_timeout(http, request, TIMEOUT).await?)?;
        let deadline = Instant::now() + grant.valid_for(read_clock(clock));
        Ok(Self { config: config.clone(), grant, deadline })
    }

    /// Returns the code that the user enters.
    #[must_use]
    pub fn user_code(&self) -> &str {
        &self.grant.user_code
    }

    /// Returns the URL of the page where the user enters it.
    #[must_use]
    pub fn verification_url(&self) -> String {
        self.config.endpoint("/codex/device")
    }

    /// Returns how long the code is still valid.
    #[must_use]
    pub fn expires_in(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Polls at the auth server's pace until the user has decided, and stores the tokens. Dropping the future cancels
    /// the login.
    ///
    /// # Errors
    /// [`LoginError`]; the tokens that were stored before are unchanged.
    pub async fn complete<H: HttpClient, S: TokenStore>(
        self,
        http: &H,
        store: &S,
        clock: &impl Clock,
    ) -> Result<Account, LoginError> {
        check_writable(store).await?;
        let mut interval = self.grant.interval.map_or(DEFAULT_INTERVAL, |interval| interval.max(MIN_INTERVAL));
        let approved = loop {
            match self.poll(http).await? {
                PollOutcome::Approved(approved) => break approved,
                PollOutcome::Pending => {}
                PollOutcome::SlowDown => interval += SLOW_DOWN,
            }
            if later(Instant::now(), interval) >= self.deadline {
                return Err(LoginError::DeviceExpired);
            }
            tokio::time::sleep(interval).await;
        };
        let code = AuthorizationCode::new(approved.authorization_code);
        let redirect_uri = self.config.endpoint("/deviceauth/callback");
        let tokens = exchange_code(&self.config, &code, &approved.code_verifier, &redirect_uri, http, clock).await?;
        store_login(&self.config, &tokens, store).await
    }

    async fn poll<H: HttpClient>(&self, http: &H) -> Result<PollOutcome, LoginError> {
        let request = requests::device_poll_request(&self.config, &self.grant.device_auth_id, &self.grant.user_code);
        match send_with_timeout(http, request.map_err(HttpClientError::from)?, TIMEOUT).await {
            Ok(response) => PollOutcome::parse(&response),
            // Polling changes nothing at the auth server, so it is safe after a failed connection.
            Err(error) => {
                tracing::debug!(%error, "polling for the device login failed");
                Ok(PollOutcome::Pending)
            }
        }
    }
}

/// The auth server's response to the request for a code.
#[derive(Debug, Deserialize)]
struct DeviceGrant {
    device_auth_id: Secret,
    #[serde(alias = "usercode")]
    user_code: String,
    #[serde(default, deserialize_with = "lenient_json::seconds")]
    interval: Option<Duration>,
    #[serde(default, deserialize_with = "lenient_json::seconds")]
    expires_in: Option<Duration>,
    #[serde(default, deserialize_with = "lenient_json::time")]
    expires_at: Option<SystemTime>,
}

impl DeviceGrant {
    fn parse(response: &Response<Bytes>) -> Result<Self, LoginError> {
        if response.status() == StatusCode::NOT_FOUND {
            return Err(LoginError::DeviceUnsupported);
        }
        if !response.status().is_success() {
            return Err(EndpointError::classify(response).into());
        }
        lenient_json::object(response.body()).map_err(|_| EndpointError::classify(response).into())
    }

    fn valid_for(&self, now: SystemTime) -> Duration {
        let until = || self.expires_at?.duration_since(now).ok();
        self.expires_in.or_else(until).map_or(VALID_FOR, |valid| valid.min(VALID_FOR))
    }
}

#[derive(Debug)]
enum PollOutcome {
    Pending,
    SlowDown,
    Approved(DeviceApproval),
}

/// The approved login. The auth server created the PKCE pair itself.
#[derive(Debug, Deserialize)]
struct DeviceApproval {
    authorization_code: Secret,
    code_verifier: Secret,
}

impl PollOutcome {
    fn parse(response: &Response<Bytes>) -> Result<Self, LoginError> {
        let status = response.status();
        if status.is_success()
            && let Ok(approved) = lenient_json::object(response.body())
        {
            return Ok(Self::Approved(approved));
        }
        // A server error says nothing about the code, and the error page of a gateway may be HTML.
        if status.is_server_error() {
            return Ok(Self::Pending);
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Ok(Self::SlowDown);
        }
        let error = EndpointError::classify(response);
        if matches!(error, EndpointError::WebPage { .. }) {
            return Err(error.into());
        }
        match OAuthErrorBody::parse(response.body()).code.as_deref() {
            Some("slow_down") => Ok(Self::SlowDown),
            Some("authorization_pending") => Ok(Self::Pending),
            Some("authorization_declined" | "access_denied") => Err(LoginError::DeviceDenied),
            Some("expired_token") => Err(LoginError::DeviceExpired),
            Some(_) | None if matches!(status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) => Ok(Self::Pending),
            Some(_) | None if status.is_success() => Ok(Self::Pending),
            Some(_) | None => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, body: &str) -> Response<Bytes> {
        Response::builder().status(status).body(Bytes::copy_from_slice(body.as_bytes())).unwrap()
    }

    #[test]
    fn the_interval_is_a_string_and_the_code_has_two_names() {
        let body = r#"{"device_auth_id":"d","usercode":"CODE-1","interval":"7"}"#;
        let grant = DeviceGrant::parse(&response(200, body)).unwrap();
        assert_eq!(grant.user_code, "CODE-1");
        assert_eq!(grant.interval, Some(Duration::from_secs(7)));
        assert_eq!(grant.valid_for(SystemTime::UNIX_EPOCH), VALID_FOR);
    }

    #[test]
    fn a_404_means_that_device_login_is_not_supported() {
        assert_eq!(DeviceGrant::parse(&response(404, "")).unwrap_err(), LoginError::DeviceUnsupported);
        assert!(matches!(DeviceGrant::parse(&response(500, "")).unwrap_err(), LoginError::Exchange(_)));
    }

    #[test]
    fn poll_responses_are_told_apart() {
        let pending = [
            (403, ""),
            (404, "{}"),
            (400, r#"{"error":"authorization_pending"}"#),
            (200, "{}"),
            (200, r#"{"status":"pending"}"#),
            (502, ""),
            (503, "<html>Bad gateway"),
        ];
        for (status, body) in pending {
            assert!(matches!(PollOutcome::parse(&response(status, body)), Ok(PollOutcome::Pending)), "{status} {body}");
        }
        for (status, body) in
            [(400, r#"{"error":"slow_down"}"#), (429, ""), (429, r#"{"error":{"code":"rate_limit"}}"#)]
        {
            assert!(
                matches!(PollOutcome::parse(&response(status, body)), Ok(PollOutcome::SlowDown)),
                "{status} {body}"
            );
        }
        let declined = response(401, r#"{"error":"authorization_declined","error_description":"Denied"}"#);
        assert_eq!(PollOutcome::parse(&declined).unwrap_err(), LoginError::DeviceDenied);
        let challenge = response(403, "<html>Just a moment");
        assert!(matches!(PollOutcome::parse(&challenge).unwrap_err(), LoginError::Exchange(_)));
        let body = r#"{"authorization_code":"c","code_challenge":"x","code_verifier":"v"}"#;
        assert!(matches!(PollOutcome::parse(&response(200, body)), Ok(PollOutcome::Approved(_))));
    }
}
