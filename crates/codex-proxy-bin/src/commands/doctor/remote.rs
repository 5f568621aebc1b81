//! Checks over the network: names, TLS, the two servers, the clock, the login, the models.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use codex_auth::{AnyStore, Bearer};
use codex_client::Client;
use codex_upstream::{
    CatalogueSource, HttpUpstream, ModelCacheConfig, Quota, SendError, TokioTimer, Upstream, UpstreamError, Verdict,
    error_for_status,
};
use http::Request;
use http::header::{ACCEPT, DATE, USER_AGENT};
use url::{Host, Url};

use crate::commands::doctor::finding::{Finding, MAX_WAIT};
use crate::commands::duration::rough;
use crate::config::Config;

/// How far the clock may differ from a server's: the reply takes a while to arrive, and its time has whole seconds.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

/// Beyond this, certificates appear expired or not yet valid.
const CLOCK_LIMIT: Duration = Duration::from_secs(86_400);

pub(super) async fn examine(config: &Config, upstream: HttpUpstream, store: AnyStore) -> Vec<Finding> {
    let catalogue = ModelCacheConfig { timeout: MAX_WAIT, ..ModelCacheConfig::default() };
    let client = match config.client_builder(store).upstream(upstream).models(catalogue).build() {
        Ok(client) => client,
        Err(error) => return vec![Finding::fail("settings", error.to_string())],
    };
    let auth = ProbedServer::reach(&client, &config.auth, ".well-known/openid-configuration").await;
    let backend = ProbedServer::reach(&client, &config.upstream, "wham/usage").await;
    let looks_up = looks_up_names(config);
    let mut findings = Vec::new();
    for server in [&auth, &backend] {
        if looks_up {
            findings.extend(dns(&server.base).await);
        }
        findings.extend(server.tls());
    }
    findings.push(auth.reached("auth server"));
    findings.push(clock(auth.date().or_else(|| backend.date()), SystemTime::now()));
    findings.push(backend.reached("backend"));
    let bearer = client.tokens().bearer().await;
    // A refresh in progress holds the only copy of a rotated token.
    client.wait_for_refresh().await;
    match bearer {
        Ok(bearer) => {
            findings.push(login(&client, &bearer).await);
            findings.push(models(&client).await);
        }
        Err(error) => {
            findings.push(Finding::fail("login", error.to_string()));
            findings.push(Finding::warn("models", "skipped: there is no usable login"));
        }
    }
    findings
}

/// Returns whether this machine resolves names, rather than a proxy.
fn looks_up_names(config: &Config) -> bool {
    match config.proxy.redacted_url() {
        Ok(Some(proxy)) => proxy.starts_with("socks5://"),
        Ok(None) | Err(_) => true,
    }
}

/// A server, and the outcome of a request without a login.
struct ProbedServer {
    base: Url,
    outcome: Result<Answer, UpstreamError>,
}

struct Answer {
    status: u16,
    date: Option<SystemTime>,
    is_challenge: bool,
}

impl ProbedServer {
    async fn reach(client: &Client, base: &Url, path: &str) -> Self {
        let outcome = reach(client, &format!("{}/{path}", base.as_str().trim_end_matches('/'))).await;
        Self { base: base.clone(), outcome }
    }

    fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default()
    }

    fn date(&self) -> Option<SystemTime> {
        self.outcome.as_ref().ok()?.date
    }

    /// Returns `None` without TLS: plain http is only accepted for this machine.
    fn tls(&self) -> Option<Finding> {
        if self.base.scheme() != "https" {
            return None;
        }
        Some(match &self.outcome {
            Ok(_) => Finding::ok("TLS", format!("{} is trusted", self.host())),
            Err(UpstreamError::Tls { host, reason }) => Finding::fail(
                "TLS",
                format!("{host} is not trusted: {reason}"),
            )
            .advise(
                "behind a TLS-inspecting proxy, set CODEX_PROXY_CA to its root certificate; otherwise check the clock",
            ),
            Err(_) => Finding::warn("TLS", format!("not checked: cannot reach {}", self.host())),
        })
    }

    fn reached(&self, check: &'static str) -> Finding {
        match &self.outcome {
            Ok(answer) if answer.is_challenge => {
                Finding::fail(check, format!("{} replied with a bot challenge", self.host()))
                    .advise("wait a few minutes, or use another network or proxy: Cloudflare distrusts this IP address")
            }
            Ok(answer) if answer.status >= 500 => {
                Finding::fail(check, format!("{} replied with {}", self.host(), answer.status))
                    .advise("try again later")
            }
            Ok(_) => Finding::ok(check, format!("{} responds", self.host())),
            Err(error) => Finding::fail(check, error.to_string()),
        }
    }
}

async fn reach(client: &Client, uri: &str) -> Result<Answer, UpstreamError> {
    let invalid = |error: http::Error| UpstreamError::InvalidRequest { reason: error.to_string() };
    let request = Request::get(uri).header(ACCEPT, "*/*").header(USER_AGENT, &client.identity().startup_user_agent);
    let reply = client.upstream().send(request.body(Bytes::new()).map_err(invalid)?).await?;
    let status = reply.status().as_u16();
    let date = reply.headers().get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    let is_challenge = match error_for_status(reply, &TokioTimer).await {
        Err(SendError::Refused { failure, .. }) => failure.verdict() == Verdict::Challenge,
        Ok(_) | Err(_) => false,
    };
    Ok(Answer { status, date, is_challenge })
}

/// Resolves the host of `base`; `None` if it is an address.
async fn dns(base: &Url) -> Option<Finding> {
    let Some(Host::Domain(host)) = base.host() else { return None };
    let looked_up = tokio::time::timeout(MAX_WAIT, tokio::net::lookup_host((host, 443))).await;
    let advice =
        "check the network and the resolver; if the internet is only reachable through a proxy, set HTTPS_PROXY";
    Some(match looked_up.map(|found| found.map(|mut addresses| addresses.next())) {
        Ok(Ok(Some(address))) => Finding::ok("DNS", format!("{host} is {}", address.ip())),
        Ok(Ok(None)) => Finding::fail("DNS", format!("{host} has no address")).advise(advice),
        Ok(Err(error)) => Finding::fail("DNS", format!("cannot resolve {host} ({error})")).advise(advice),
        Err(_) => Finding::fail("DNS", format!("DNS lookup of {host} timed out after {} s", MAX_WAIT.as_secs()))
            .advise(advice),
    })
}

/// Compares the clock with the time of a server's reply.
fn clock(told: Option<SystemTime>, now: SystemTime) -> Finding {
    let Some(told) = told else {
        return Finding::warn("clock", "not checked: no server reported the time");
    };
    let (off, side) = match now.duration_since(told) {
        Ok(ahead) => (ahead, "ahead"),
        Err(behind) => (behind.duration(), "behind"),
    };
    if off <= CLOCK_TOLERANCE {
        return Finding::ok("clock", "matches the servers");
    }
    let found = format!("is {} {side}", rough(off));
    let finding = if off < CLOCK_LIMIT { Finding::warn("clock", found) } else { Finding::fail("clock", found) };
    finding.advise("set the clock, for example with `timedatectl set-ntp true`")
}

/// Checks whether the backend accepts the login.
async fn login(client: &Client, bearer: &Bearer) -> Finding {
    let quota = match client.refresh_quota(bearer).await {
        Ok(quota) => quota,
        Err(error) => return Finding::fail("login", error.to_string()),
    };
    let status = client.login_status().await;
    let who = status.email.as_deref().unwrap_or("(no e-mail in the tokens)");
    let found = format!("the backend accepts the login of {who}{}", used(&quota));
    match &quota.reached {
        Some(_) => Finding::warn("login", found).advise("`codex-proxy status` shows when the window resets"),
        None => Finding::ok("login", found),
    }
}

fn used(quota: &Quota) -> String {
    match quota.tightest() {
        Some(window) => format!("; {:.0} % of the {} window is used", window.used_percent, window.name),
        None => String::new(),
    }
}

async fn models(client: &Client) -> Finding {
    let snapshot = client.models().await;
    let count = snapshot.catalogue.models().len();
    match (snapshot.source, snapshot.problem) {
        (CatalogueSource::Live, None) if count > 0 => Finding::ok("models", format!("the backend lists {count}")),
        (_, Some(problem)) => Finding::fail("models", problem),
        _ => Finding::fail("models", "the backend lists none")
            .advise("check that the plan includes Codex: `codex-proxy status`"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::commands::doctor::finding::CheckResult;

    #[test]
    fn the_clock_is_compared_with_the_reply() {
        let at = |secs| UNIX_EPOCH + Duration::from_secs(secs);
        let rows = [
            (None, CheckResult::Warn, "no server"),
            (Some(at(1_000_000)), CheckResult::Ok, "matches"),
            (Some(at(1_000_060)), CheckResult::Ok, "matches"),
            (Some(at(992_000)), CheckResult::Warn, "2 hours ahead"),
            (Some(at(1_000_600)), CheckResult::Warn, "10 minutes behind"),
            (Some(at(1_259_200)), CheckResult::Fail, "3 days behind"),
        ];
        for (told, verdict, text) in rows {
            let finding = clock(told, at(1_000_000));
            assert_eq!(finding.verdict, verdict, "{finding:?}");
            assert!(finding.found.contains(text), "{finding:?}");
        }
    }

    fn server(base: &str, outcome: Result<Answer, UpstreamError>) -> ProbedServer {
        ProbedServer { base: base.parse().unwrap(), outcome }
    }

    fn answer(status: u16, is_challenge: bool) -> Result<Answer, UpstreamError> {
        Ok(Answer { status, date: None, is_challenge })
    }

    #[test]
    fn any_reply_counts_except_a_challenge_or_a_server_error() {
        let reached = |outcome| server("https://auth.example", outcome).reached("auth server");
        for status in [200, 401, 404] {
            assert_eq!(reached(answer(status, false)).verdict, CheckResult::Ok);
        }
        assert_eq!(reached(answer(503, false)).verdict, CheckResult::Fail);
        let finding = reached(answer(403, true));
        assert!(finding.verdict == CheckResult::Fail && finding.found.contains("challenge"), "{finding:?}");
    }

    #[test]
    fn tls_is_judged_by_the_connection() {
        let (host, reason) = (|| "auth.example".to_owned(), || "why".to_owned());
        let tls = |outcome| server("https://auth.example", outcome).tls().unwrap();
        assert_eq!(tls(answer(200, false)).verdict, CheckResult::Ok);
        let finding = tls(Err(UpstreamError::Tls { host: host(), reason: reason() }));
        assert!(finding.verdict == CheckResult::Fail && finding.advice.unwrap().contains("CODEX_PROXY_CA"));
        assert_eq!(tls(Err(UpstreamError::Connect { host: host(), reason: reason() })).verdict, CheckResult::Warn);
        assert!(server("http://127.0.0.1:9", answer(200, false)).tls().is_none());
    }

    #[tokio::test]
    async fn an_address_is_not_resolved() {
        assert!(dns(&"https://127.0.0.1".parse().unwrap()).await.is_none());
    }
}
