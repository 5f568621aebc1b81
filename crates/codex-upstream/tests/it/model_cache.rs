use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use codex_auth::Bearer;
use codex_upstream::{
    Backend, CatalogueSnapshot, CatalogueSource, ChunkStream, ClientIdentity, ModelCache, ModelCacheConfig,
    ScriptedReply, ScriptedUpstream, Upstream, UpstreamError,
};
use futures_util::FutureExt as _;
use http::{HeaderMap, Request, Response};
use tokio::sync::oneshot;
use url::Url;

use crate::timer::{TestTimer, start};

const LIST: &str = r#"{"models":[{"slug":"live-model"}]}"#;

struct Rig {
    base: Url,
    identity: ClientIdentity,
    clock: TestTimer,
    script: ScriptedUpstream,
    cache: ModelCache,
}

impl Rig {
    fn new(config: ModelCacheConfig) -> Self {
        Self {
            base: Url::parse("https://chatgpt.com/backend-api").unwrap(),
            identity: ClientIdentity::new("codex_cli_rs", "0.169.0"),
            clock: TestTimer::with_limit(Duration::from_secs(1)),
            script: ScriptedUpstream::new(),
            cache: ModelCache::open(config),
        }
    }

    fn reply(&self, reply: ScriptedReply) {
        self.script.push(Ok(reply));
    }

    async fn current_over(&self, upstream: &impl Upstream, account_id: &str) -> CatalogueSnapshot {
        let bearer = Bearer { token: "t".into(), account_id: Some(account_id.to_owned()), fedramp: false };
        let backend = Backend { base: &self.base, region: None, identity: &self.identity, bearer: &bearer };
        self.cache.current(upstream, &backend, &self.clock).await
    }

    async fn current_for(&self, account_id: &str) -> CatalogueSnapshot {
        self.current_over(&self.script, account_id).await
    }

    async fn current(&self) -> CatalogueSnapshot {
        self.current_for("acct").await
    }

    fn asked(&self) -> usize {
        self.script.requests().len()
    }
}

fn slugs(snapshot: &CatalogueSnapshot) -> Vec<String> {
    snapshot.catalogue.models().iter().map(|model| model.slug.clone()).collect()
}

fn etag(value: &'static str) -> HeaderMap {
    [(http::HeaderName::from_static("x-models-etag"), http::HeaderValue::from_static(value))].into_iter().collect()
}

fn listed() -> ScriptedReply {
    ScriptedReply::new(200).header("etag", "\"one\"").piece(LIST)
}

#[tokio::test]
async fn a_catalogue_is_requested_once_per_ttl_and_then_confirmed() {
    let rig = Rig::new(ModelCacheConfig::default());
    assert_eq!(rig.cache.snapshot().source, CatalogueSource::BuiltIn);
    rig.reply(listed());
    rig.reply(ScriptedReply::new(304));
    let first = rig.current().await;
    assert_eq!(
        (slugs(&first), first.source, first.problem.clone()),
        (vec!["live-model".into()], CatalogueSource::Live, None)
    );
    assert_eq!(first.fetched_at, Some(start()));
    rig.clock.advance(Duration::from_secs(299));
    assert_eq!(rig.current().await, first);
    assert_eq!(rig.asked(), 1);

    rig.clock.advance(Duration::from_secs(1));
    let confirmed = rig.current().await;
    assert_eq!(confirmed.fetched_at, Some(start() + Duration::from_secs(300)));
    assert_eq!(slugs(&confirmed), ["live-model"]);
    let requests = rig.script.requests();
    assert_eq!(requests[0].headers().get("if-none-match"), None);
    assert_eq!(requests[1].headers()["if-none-match"], "\"one\"");
}

#[tokio::test]
async fn a_changed_tag_on_any_reply_causes_another_request_at_once() {
    let rig = Rig::new(ModelCacheConfig::default());
    rig.cache.observe(&etag("\"early\""));
    rig.reply(listed());
    rig.current().await;
    rig.cache.observe(&etag("\"one\""));
    rig.cache.observe(&HeaderMap::new());
    rig.current().await;
    assert_eq!(rig.asked(), 1);
    rig.cache.observe(&etag("\"two\""));
    rig.reply(ScriptedReply::new(200).header("etag", "\"two\"").piece(r#"{"models":[{"slug":"newer"}]}"#));
    assert_eq!(slugs(&rig.current().await), ["newer"]);
    assert_eq!(rig.asked(), 2);
}

#[tokio::test]
async fn a_tag_and_its_weak_form_are_one() {
    let rig = Rig::new(ModelCacheConfig::default());
    rig.reply(ScriptedReply::new(200).header("etag", "W/\"one\"").piece(LIST));
    rig.current().await;
    rig.cache.observe(&etag("\"one\""));
    rig.current().await;
    assert_eq!(rig.asked(), 1);
}

#[tokio::test]
async fn a_confirmation_does_not_outlive_the_catalogue_that_it_confirms() {
    let rig = Rig::new(ModelCacheConfig::default());
    rig.reply(listed());
    rig.current().await;
    rig.clock.advance(Duration::from_secs(300));
    let (open, gate) = oneshot::channel();
    let upstream = Gated(Mutex::new(Some(gate)));
    let mut confirming = Box::pin(rig.current_over(&upstream, "acct"));
    assert!(confirming.as_mut().now_or_never().is_none());
    // A request of another account meanwhile replaces the first one's catalogue.
    assert_eq!(rig.current_for("other").await.source, CatalogueSource::BuiltIn);
    open.send(()).unwrap();
    assert_eq!(confirming.await.source, CatalogueSource::BuiltIn);
    rig.reply(listed());
    assert_eq!(rig.current().await.source, CatalogueSource::Live);
    assert_eq!(rig.script.requests()[1].headers().get("if-none-match"), None);
}

/// An upstream that confirms one catalogue, once it is released.
struct Gated(Mutex<Option<oneshot::Receiver<()>>>);

impl Upstream for Gated {
    async fn send(&self, _: Request<Bytes>) -> Result<Response<ChunkStream>, UpstreamError> {
        let gate = self.0.lock().unwrap().take().unwrap();
        gate.await.unwrap();
        let body: ChunkStream = Box::pin(futures_util::stream::empty());
        Ok(Response::builder().status(304).body(body).unwrap())
    }
}

#[tokio::test]
async fn after_a_failure_the_cached_catalogue_stays_with_the_reason_and_there_is_a_pause() {
    let outcomes = [
        Err(UpstreamError::Connect { host: "h".into(), reason: "refused".into() }),
        Ok(ScriptedReply::new(401).piece(r#"{"detail":"Unauthorized"}"#)),
        Ok(ScriptedReply::new(200).piece("nonsense")),
        Ok(ScriptedReply::new(200).piece(r#"{"models":[]}"#)),
        Ok(ScriptedReply::new(200).stalled()),
    ];
    let mut problems = std::collections::HashSet::new();
    for outcome in outcomes {
        let rig = Rig::new(ModelCacheConfig::default());
        rig.script.push(outcome);
        // Only the timeout of the request may elapse.
        let rig = Rig { clock: TestTimer::with_limit(Duration::from_secs(6)), ..rig };
        let snapshot = rig.current().await;
        assert_eq!((snapshot.source, snapshot.fetched_at), (CatalogueSource::BuiltIn, None));
        assert!(problems.insert(snapshot.problem.clone().unwrap()), "each failure has its own problem: {snapshot:?}");
        rig.current().await;
        assert_eq!(rig.asked(), 1);

        rig.clock.advance(Duration::from_secs(60));
        rig.reply(listed());
        let recovered = rig.current().await;
        assert_eq!((recovered.source, recovered.problem), (CatalogueSource::Live, None));
    }
}

#[tokio::test]
async fn another_account_or_version_starts_afresh() {
    let rig = Rig::new(ModelCacheConfig::default());
    rig.reply(listed());
    rig.reply(ScriptedReply::new(200).piece(r#"{"models":[{"slug":"theirs"}]}"#));
    rig.current().await;
    assert_eq!(slugs(&rig.current_for("other").await), ["theirs"]);
    assert_eq!(rig.script.requests()[1].headers().get("if-none-match"), None);
    let newer = Rig { identity: ClientIdentity::new("codex_cli_rs", "0.170.0"), ..rig };
    newer.script.push(Err(UpstreamError::Connect { host: "h".into(), reason: "r".into() }));
    assert_eq!(newer.current_for("other").await.source, CatalogueSource::BuiltIn);
}

#[tokio::test]
async fn one_caller_requests_while_the_others_use_the_cache_and_a_cancelled_one_frees_its_turn() {
    let rig = Rig::new(ModelCacheConfig::default());
    rig.reply(ScriptedReply::new(200).stalled());
    let mut waiting = Box::pin(rig.current());
    assert!(waiting.as_mut().now_or_never().is_none());
    assert_eq!(rig.current().await.source, CatalogueSource::BuiltIn);
    assert_eq!(rig.asked(), 1);
    drop(waiting);
    rig.reply(listed());
    assert_eq!(rig.current().await.source, CatalogueSource::Live);
}

#[tokio::test]
async fn the_catalogue_survives_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let config = ModelCacheConfig { file: Some(folder.path().join("models.json")), ..ModelCacheConfig::default() };
    let rig = Rig::new(config.clone());
    rig.reply(ScriptedReply::new(200).header("etag", "\"one\"").piece(r#"{"models":[{"slug":"m","unheard_of":[1]}]}"#));
    assert_eq!(rig.current().await.problem, None);
    let left: Vec<_> = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["models.json"]);

    let next = Rig::new(config.clone());
    let found = next.cache.snapshot();
    assert_eq!((found.source, found.fetched_at), (CatalogueSource::Disk, Some(start())));
    assert_eq!(found.catalogue.find("m").unwrap().raw["unheard_of"][0], 1);
    assert_eq!(next.current().await.source, CatalogueSource::Disk);
    next.clock.advance(Duration::from_secs(300));
    next.reply(ScriptedReply::new(304));
    assert_eq!(next.current().await.source, CatalogueSource::Live);
    assert_eq!(next.script.requests()[0].headers()["if-none-match"], "\"one\"");

    let stranger = Rig::new(config);
    stranger.reply(listed());
    assert_eq!(slugs(&stranger.current_for("other").await), ["live-model"]);
}

#[tokio::test]
async fn a_damaged_or_unwritable_file_is_a_problem_and_not_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("models.json");
    std::fs::write(&file, "{\"fetched_at\":").unwrap();
    let rig = Rig::new(ModelCacheConfig { file: Some(file.clone()), ..ModelCacheConfig::default() });
    let opened = rig.cache.snapshot();
    assert_eq!(opened.source, CatalogueSource::BuiltIn);
    assert!(opened.problem.is_some());
    rig.reply(listed());
    assert_eq!(rig.current().await.problem, None);
    assert!(std::fs::read_to_string(&file).unwrap().contains("live-model"));

    let nowhere = Some(folder.path().join("missing").join("models.json"));
    let rig = Rig::new(ModelCacheConfig { file: nowhere, ..ModelCacheConfig::default() });
    rig.reply(listed());
    let snapshot = rig.current().await;
    assert_eq!(snapshot.source, CatalogueSource::Live);
    assert!(snapshot.problem.is_some());
}
