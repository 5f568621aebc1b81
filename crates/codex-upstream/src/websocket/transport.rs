//! The choice of transport.

use std::str::FromStr;

/// The transport of turns.
///
/// ```
/// use codex_upstream::TransportChoice;
///
/// assert_eq!("auto".parse(), Ok(TransportChoice::Auto));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TransportChoice {
    /// A WebSocket if the catalogue says that the model prefers it, or HTTP if none is available.
    Auto,
    /// HTTP.
    #[default]
    Http,
    /// A WebSocket, without falling back to HTTP.
    WebSocket,
}

impl FromStr for TransportChoice {
    type Err = ParseTransportError;

    /// Parses `auto`, `http` or `websocket`.
    fn from_str(text: &str) -> Result<Self, ParseTransportError> {
        match text {
            "auto" => Ok(Self::Auto),
            "http" => Ok(Self::Http),
            "websocket" => Ok(Self::WebSocket),
            _ => Err(ParseTransportError),
        }
    }
}

/// Text that is not a [`TransportChoice`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected `auto`, `http` or `websocket`")]
pub struct ParseTransportError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transports_have_names() {
        assert_eq!("auto".parse(), Ok(TransportChoice::Auto));
        assert_eq!("http".parse(), Ok(TransportChoice::default()));
        assert_eq!("websocket".parse(), Ok(TransportChoice::WebSocket));
        assert_eq!("ws".parse::<TransportChoice>(), Err(ParseTransportError));
    }
}
