//! Routes to workspaces: requested once, never in the way of a turn, and problems logged once.

use std::time::Duration;

use codex_auth::Bearer;
use codex_upstream::{
    Backend, ClientIdentity, ScriptedReply, ScriptedUpstream, UpstreamError, WorkspaceRoute, WorkspaceRouteError,
    WorkspaceRouter,
};
use futures_util::future::join;
use url::Url;

use crate::timer::TestTimer;

const ACCOUNTS: &str = r#"{"accounts":[
    {"id":"acct","workspace_backend_origin":"https://gov.chatgpt.com","account_routing_override":"us"},
    {"id":"gone","name":"Acme","is_deactivated":true}]}"#;

struct Rig {
    identity: ClientIdentity,
    clock: TestTimer,
    script: ScriptedUpstream,
    router: WorkspaceRouter,
}

impl Rig {
    fn new(script: ScriptedUpstream) -> Self {
        Self {
            identity: ClientIdentity::default(),
            clock: TestTimer::with_limit(Duration::from_secs(1)),
            script,
            router: WorkspaceRouter::new(Url::parse("https://chatgpt.com/backend-api").unwrap()),
        }
    }

    async fn route_of(&self, account_id: Option<&str>) -> Result<WorkspaceRoute, WorkspaceRouteError> {
        let home = self.router.home();
        let bearer = Bearer { token: "t".into(), account_id: account_id.map(str::to_owned), fedramp: false };
        let backend = Backend { base: &home.base, region: None, identity: &self.identity, bearer: &bearer };
        self.router.route(&self.script, &backend, &self.clock).await
    }

    async fn base(&self) -> String {
        self.route_of(Some("acct")).await.unwrap().base.to_string()
    }

    fn asked(&self) -> usize {
        self.script.requests().len()
    }
}

#[tokio::test]
async fn concurrent_callers_share_one_request_for_a_route_until_it_expires() {
    let rig = Rig::new(ScriptedUpstream::new().reply(200, ACCOUNTS).reply(200, r#"{"accounts":[{"id":"acct"}]}"#));
    let (one, other) = join(rig.route_of(Some("acct")), rig.route_of(Some("acct"))).await;
    assert_eq!(one, other);
    let route = one.unwrap();
    assert_eq!((route.base.as_str(), route.region.as_deref()), ("https://gov.chatgpt.com/backend-api", Some("us")));
    assert_eq!(rig.asked(), 1);
    assert_eq!(rig.script.requests()[0].uri(), "https://chatgpt.com/backend-api/wham/accounts/check");
    rig.clock.advance(Duration::from_secs(3600));
    assert_eq!(rig.base().await, "https://chatgpt.com/backend-api");
    assert_eq!(rig.asked(), 2);
}

#[tokio::test]
async fn without_an_answer_the_configured_address_serves_for_a_minute() {
    let script = ScriptedUpstream::new()
        .reply(404, r#"{"detail":"Not Found"}"#)
        .error(UpstreamError::Closed { host: "chatgpt.com".to_owned(), reason: "reset".to_owned() })
        .reply(200, "<html>")
        .reply(200, r#"{"accounts":[]}"#)
        .reply(200, ACCOUNTS);
    let rig = Rig::new(script);
    for asked in 1..=4 {
        for _ in 0..2 {
            assert_eq!(rig.base().await, "https://chatgpt.com/backend-api");
            assert_eq!(rig.asked(), asked);
        }
        rig.clock.advance(Duration::from_secs(60));
    }
    assert_eq!(rig.base().await, "https://gov.chatgpt.com/backend-api");
}

#[tokio::test]
async fn a_refused_bearer_is_not_an_answer_and_the_next_one_requests_again() {
    let rig = Rig::new(ScriptedUpstream::new().reply(401, r#"{"detail":"Unauthorized"}"#).reply(200, ACCOUNTS));
    assert_eq!(rig.base().await, "https://chatgpt.com/backend-api");
    assert_eq!(rig.base().await, "https://gov.chatgpt.com/backend-api");
}

#[tokio::test]
async fn each_account_has_its_own_route_and_without_account_nothing_is_requested() {
    let rig = Rig::new(ScriptedUpstream::new().reply(200, ACCOUNTS).reply(200, ACCOUNTS).reply(200, ACCOUNTS));
    assert_eq!(rig.base().await, "https://gov.chatgpt.com/backend-api");
    assert_eq!(
        rig.route_of(Some("gone")).await,
        Err(WorkspaceRouteError::Deactivated { workspace: "Acme".to_owned() })
    );
    assert_eq!(
        rig.route_of(Some("gone")).await,
        Err(WorkspaceRouteError::Deactivated { workspace: "Acme".to_owned() })
    );
    assert_eq!(rig.asked(), 2);
    rig.clock.advance(Duration::from_secs(60));
    assert!(rig.route_of(Some("gone")).await.is_err());
    assert_eq!(rig.asked(), 3, "a refusal can be momentary");
    assert_eq!(rig.route_of(None).await, Ok(rig.router.home().clone()));
    assert_eq!(rig.asked(), 3);
}

#[tokio::test]
async fn a_silent_backend_is_not_waited_for() {
    // With this limit, the wait for an answer ends at once.
    let clock = TestTimer::with_limit(Duration::from_secs(10));
    let rig = Rig { clock, ..Rig::new(ScriptedUpstream::new().then(ScriptedReply::new(200).stalled())) };
    assert_eq!(rig.base().await, "https://chatgpt.com/backend-api");
    assert_eq!(rig.asked(), 1);
}
