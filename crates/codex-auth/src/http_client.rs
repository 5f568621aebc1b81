//! The HTTP client as a parameter.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;

/// Sends one request to the auth server and reads the whole response.
///
/// The implementation adds what belongs to the connection (`accept-encoding` and the decoding of the reply, TLS
/// fingerprint, proxy), but no user agent: the official client names itself in some requests only, and those have the
/// header already. It follows no redirects: a redirect would hand a token to another address.
///
/// ```
/// use bytes::Bytes;
/// use codex_auth::{AuthConfig, HttpClient, HttpClientError, HttpTokenEndpoint};
///
/// /// A client of your choice.
/// struct Http;
///
/// impl HttpClient for Http {
///     async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpClientError> {
///         // Connect; a failure here is `NotSent`. Send and read; a failure there is `Interrupted`.
///         Err(HttpClientError::NotSent(format!("no route to {}", request.uri())))
///     }
/// }
///
/// let config = AuthConfig::new("https://auth.openai.com".parse()?);
/// let endpoint = HttpTokenEndpoint::new(Http, config);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait HttpClient: Send + Sync + 'static {
    /// Sends the request.
    ///
    /// # Errors
    /// [`HttpClientError`] if there is no complete response. Its variant decides whether the caller may send again.
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> impl Future<Output = Result<http::Response<Bytes>, HttpClientError>> + Send;
}

impl<H: HttpClient> HttpClient for Arc<H> {
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> impl Future<Output = Result<http::Response<Bytes>, HttpClientError>> + Send {
        self.as_ref().send(request)
    }
}

/// A request without a complete response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpClientError {
    /// The request provably never reached the server: no address, no connection, failed TLS handshake. Sending it again
    /// is safe.
    #[error("cannot reach the server: {0}")]
    NotSent(String),
    /// The server may have acted on the request. A single-use token in it counts as possibly used
    /// (`docs/backend.md §1.5`).
    #[error("the connection failed before the response was complete: {0}")]
    Interrupted(String),
}

impl From<http::Error> for HttpClientError {
    fn from(error: http::Error) -> Self {
        Self::NotSent(format!("the request cannot be built: {error}"))
    }
}
