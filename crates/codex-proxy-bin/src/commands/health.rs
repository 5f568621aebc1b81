//! `codex-proxy health`.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use codex_upstream::{HttpUpstream, HttpUpstreamConfig, Upstream as _, read_to_end};
use http::{Request, StatusCode};

use crate::commands::CommandError;
use crate::config::Config;

/// Shorter than the intervals at which containers are checked.
const PATIENCE: Duration = Duration::from_secs(5);

/// No reply of the program is longer.
const MAX_BYTES: usize = 64 * 1024;

/// Checks the health of the proxy on this machine, as a container's health check does.
///
/// # Errors
/// The proxy does not respond, or is not healthy; the message names the URL.
pub(crate) async fn run(config: Config, out: &mut impl Write) -> Result<ExitCode, CommandError> {
    let url = format!("http://{}/health", authority(&config.host, config.port));
    // Without a proxy and without certificates: the request stays on this machine.
    let client = HttpUpstream::new(HttpUpstreamConfig { connect_timeout: PATIENCE, ..HttpUpstreamConfig::default() });
    let client = client.map_err(CommandError::other)?;
    let request = Request::get(&url).body(Bytes::new()).map_err(CommandError::other)?;
    let failed = |why: String| CommandError::Other(format!("{url}: {why}; is `codex-proxy serve` running there?"));
    let asked = tokio::time::timeout(PATIENCE, client.send(request)).await;
    let silent = || failed(format!("no reply within {} s", PATIENCE.as_secs()));
    let reply = asked.map_err(|_| silent())?.map_err(|error| failed(error.to_string()))?;
    let status = reply.status();
    if status != StatusCode::OK {
        return Err(failed(format!("answered {status}")));
    }
    let body = tokio::time::timeout(PATIENCE, read_to_end(reply.into_body(), MAX_BYTES)).await;
    let body = body.map_err(|_| silent())?.map_err(|error| failed(error.to_string()))?;
    writeln!(out, "{}", String::from_utf8_lossy(&body).trim())?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the authority at which a proxy that listens on `host` is reached from this machine.
fn authority(host: &str, port: u16) -> String {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) if ip.is_unspecified() => format!("{}:{port}", Ipv4Addr::LOCALHOST),
        Ok(IpAddr::V6(ip)) if ip.is_unspecified() => format!("[{}]:{port}", Ipv6Addr::LOCALHOST),
        Ok(IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
        _ => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_checked_on_this_machine() {
        for (host, asked) in [
            ("0.0.0.0", "127.0.0.1:8787"),
            ("::", "[::1]:8787"),
            ("::1", "[::1]:8787"),
            ("192.0.2.7", "192.0.2.7:8787"),
            ("localhost", "localhost:8787"),
        ] {
            assert_eq!(authority(host, 8787), asked);
        }
    }
}
