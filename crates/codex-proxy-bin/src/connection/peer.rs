//! Where a connection comes from.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The other end of a connection. A server that calls an [`App`](crate::App) as a service puts it into the extensions
/// of each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Over TCP, from the network or from this machine.
    Tcp(SocketAddr),
    /// Over a Unix socket, and so from this machine.
    Unix,
    /// Unknown, and so never counted as this machine or a private network.
    Unknown,
}

impl Peer {
    /// Returns whether the peer is this machine.
    pub fn is_this_machine(self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix => true,
            Self::Unknown => false,
        }
    }

    /// Returns whether the peer is this machine, or on a network that is not the public internet: private (RFC 1918,
    /// RFC 4193), link-local, or Tailscale's (100.64.0.0/10, RFC 6598).
    pub fn is_private(self) -> bool {
        match self {
            Self::Tcp(address) => match address.ip().to_canonical() {
                IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local() || is_shared(ip),
                IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
            },
            Self::Unix => true,
            Self::Unknown => false,
        }
    }
}

/// Returns whether an address is in the shared address space, which Tailscale uses.
fn is_shared(ip: Ipv4Addr) -> bool {
    let [first, second, ..] = ip.octets();
    first == 100 && second & 0b1100_0000 == 64
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix => f.write_str("unix socket"),
            Self::Unknown => f.write_str("unknown peer"),
        }
    }
}
