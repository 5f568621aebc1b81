//! Accepts connections: TCP ports, Unix sockets, and sockets that a service manager has opened.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::task::Poll;
use std::{fmt, io};

use tokio::net::{TcpListener, TcpStream};

#[cfg(unix)]
use crate::server::unix_socket::UnixSocket;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A host name or address, and a port.
    Tcp(String, u16),
    /// A path in the file system.
    Unix(PathBuf),
}

/// A text that is not an address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("invalid address `{0}`: expected host and port, such as `127.0.0.1:8787` or `[::1]:8787`, or `unix:/path`")]
pub struct UnusableAddress(String);

impl FromStr for Address {
    type Err = UnusableAddress;

    fn from_str(text: &str) -> Result<Self, UnusableAddress> {
        let unusable = || UnusableAddress(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(unusable()) } else { Ok(Self::Unix(path.into())) };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(unusable)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        // Without brackets, it is ambiguous which colon precedes the port.
        if bare.is_empty() || (bare == host && host.contains(':')) {
            return Err(unusable());
        }
        Ok(Self::Tcp(bare.to_owned(), port.parse().map_err(|_| unusable())?))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The sockets that accept connections.
#[derive(Debug, Default)]
pub struct Listeners {
    all: Vec<Listener>,
    /// The one that is polled first, which rotates so that a busy one does not starve the others.
    first: usize,
}

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixSocket),
}

/// An accepted connection.
#[derive(Debug)]
pub(crate) enum Accepted {
    Tcp(TcpStream, SocketAddr),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
}

impl Listeners {
    /// Binds all `addresses`.
    ///
    /// # Errors
    /// An address cannot be bound: the address, and why. No connection has been accepted on the others.
    pub async fn bind(addresses: &[Address]) -> Result<Self, (Address, io::Error)> {
        let mut listeners = Self::default();
        for address in addresses {
            let listener = match address {
                Address::Tcp(host, port) => TcpListener::bind((host.as_str(), *port)).await.map(Listener::Tcp),
                #[cfg(unix)]
                Address::Unix(path) => UnixSocket::bind(path).map(Listener::Unix),
                #[cfg(not(unix))]
                Address::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
            };
            listeners.all.push(listener.map_err(|error| (address.clone(), error))?);
        }
        Ok(listeners)
    }

    /// Takes over the sockets that a service manager has opened for this process (`LISTEN_FDS`, sd_listen_fds(3));
    /// empty if there are none.
    ///
    /// # Errors
    /// A socket is not a listening one.
    #[cfg(all(unix, feature = "program"))]
    pub(crate) fn inherited() -> io::Result<Self> {
        let mut passed = listenfd::ListenFd::from_env();
        let mut listeners = Self::default();
        for index in 0..passed.len() {
            let listener = match passed.take_tcp_listener(index) {
                Ok(Some(listener)) => {
                    listener.set_nonblocking(true)?;
                    Listener::Tcp(TcpListener::from_std(listener)?)
                }
                Ok(None) => continue,
                Err(_) => match passed.take_unix_listener(index)? {
                    Some(listener) => Listener::Unix(UnixSocket::inherited(listener)?),
                    None => continue,
                },
            };
            listeners.all.push(listener);
        }
        Ok(listeners)
    }

    /// Returns no sockets: only Unix has them.
    #[cfg(all(not(unix), feature = "program"))]
    #[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
    pub(crate) fn inherited() -> io::Result<Self> {
        Ok(Self::default())
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Returns where they listen, as URLs where there are any.
    pub fn addresses(&self) -> impl Iterator<Item = String> {
        self.all.iter().map(|listener| match listener {
            Listener::Tcp(listener) => match listener.local_addr() {
                Ok(address) => format!("http://{address}"),
                Err(error) => format!("an unknown address ({error})"),
            },
            #[cfg(unix)]
            Listener::Unix(socket) => format!("unix:{}", socket.path().display()),
        })
    }

    /// Accepts the next connection on any of them.
    ///
    /// # Errors
    /// A connection failed, or none can be accepted at the moment.
    pub(crate) async fn accept(&mut self) -> io::Result<Accepted> {
        let (all, first) = (&self.all, self.first);
        let (at, accepted) = poll_fn(|cx| {
            for at in (0..all.len()).map(|offset| (first + offset) % all.len()) {
                let polled = match &all[at] {
                    Listener::Tcp(listener) => {
                        listener.poll_accept(cx).map_ok(|(stream, address)| Accepted::Tcp(stream, address))
                    }
                    #[cfg(unix)]
                    Listener::Unix(socket) => socket.poll_accept(cx).map_ok(Accepted::Unix),
                };
                if let Poll::Ready(accepted) = polled {
                    return Poll::Ready((at, accepted));
                }
            }
            Poll::Pending
        })
        .await;
        self.first = at + 1;
        accepted
    }
}

impl From<TcpListener> for Listeners {
    fn from(listener: TcpListener) -> Self {
        Self { all: vec![Listener::Tcp(listener)], first: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_as_they_are_written() {
        for text in ["127.0.0.1:8787", "localhost:0", "[::1]:8787", "unix:/run/user/1000/codex-proxy.sock"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for text in ["", "8787", ":8787", "localhost", "::1:8787", "localhost:http", "localhost:70000", "unix:", "[]:1"]
        {
            assert_eq!(text.parse::<Address>().unwrap_err(), UnusableAddress(text.to_owned()));
        }
    }
}
