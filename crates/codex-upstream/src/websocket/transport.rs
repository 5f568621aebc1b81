//! Which way turns go.

use std::str::FromStr;

/// How turns reach the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TransportChoice {
    /// Over a WebSocket where the catalogue says that the model prefers it, and over HTTP where none can be had.
    Auto,
    /// Over HTTP.
    #[default]
    Http,
    /// Over a WebSocket, or not at all.
    WebSocket,
}

impl FromStr for TransportChoice {
    type Err = ParseTransportError;

    /// Reads `auto`, `http` or `websocket`.
    fn from_str(text: &str) -> Result<Self, ParseTransportError> {
        match text {
            "auto" => Ok(Self::Auto),
            "http" => Ok(Self::Http),
            "websocket" => Ok(Self::WebSocket),
            _ => Err(ParseTransportError),
        }
    }
}

/// A name that no [`TransportChoice`] has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the transports are auto, http and websocket")]
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
