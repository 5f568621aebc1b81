//! Model names: with settings, of other vendors, the user's own; and the account's list, for which no request waits.

use codex_auth::MemoryStore;
use codex_proxy::{App, Config};
use codex_sim::{Sim, SimConfig};
use codex_upstream::CatalogueSource;
use serde_json::{Value, json};

use crate::support::{Harness, ask, backend, tokens_of};

fn ask_model(model: &str) -> Value {
    let mut body = ask("hi");
    body["model"] = model.into();
    body
}

#[tokio::test]
async fn an_app_caches_the_catalogue_in_the_home_directory_of_its_config() {
    let home = tempfile::tempdir().unwrap();
    let sim = Sim::start(backend()).await.unwrap();
    let config = Config::builder().home(home.path()).upstream_url(sim.upstream_url()).auth_url(sim.auth_url());
    let config = config.ca_pem(sim.ca_pem().unwrap()).build().unwrap();
    let app = App::new(&config, MemoryStore::with_tokens(tokens_of(&sim))).unwrap();
    assert_eq!(app.client.models().await.source, CatalogueSource::Live);
    assert!(config.catalogue_path().unwrap().starts_with(home.path()) && config.catalogue_path().unwrap().exists());
}

#[tokio::test]
async fn names_can_contain_settings_and_are_echoed() {
    let proxy = Harness::start().await;
    let small = "model emulated: sent `gpt-4o-mini` as `gpt-6-luna`; effort `low`";
    for (name, slug, effort, tier, header, notice) in [
        ("gpt-5.5", "gpt-5.5", Value::Null, Value::Null, "repaired", None),
        ("openai/gpt-5.5-high", "gpt-5.5", json!("high"), Value::Null, "repaired", Some("effort `high`")),
        ("gpt-5.5-fast", "gpt-5.5", Value::Null, json!("priority"), "repaired", Some("tier `priority`")),
        ("work", "gpt-5.5", json!("high"), Value::Null, "repaired", Some("sent `work` as `gpt-5.5`")),
        ("gpt-4o-mini", "gpt-6-luna", json!("low"), Value::Null, "emulated", Some(small)),
    ] {
        let reply = proxy.post("/v1/chat/completions", &ask_model(name)).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["model"]), (200, &json!(name)), "{}", reply.text);
        let told = reply.header(&format!("x-codex-proxy-{header}")).unwrap_or_default();
        assert_eq!(notice.is_some(), told.contains("model "), "{name}: {told}");
        assert!(told.contains(notice.unwrap_or_default()), "{name}: {told}");
        let sent = proxy.turns().pop().unwrap();
        assert_eq!((&sent["model"], &sent["reasoning"]["effort"]), (&json!(slug), &effort), "{name}: {sent}");
        assert_eq!(sent["service_tier"], tier, "{name}");
    }
}

#[tokio::test]
async fn online_enables_web_search_and_the_request_overrides_the_name() {
    let proxy = Harness::start().await;
    let body = json!({"model": "gpt-5.5-high:online", "input": "hi", "reasoning": {"effort": "low"}});
    let reply = proxy.post("/v1/responses", &body).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["model"]), (200, &json!("gpt-5.5-high:online")), "{}", reply.text);
    let sent = proxy.turns().pop().unwrap();
    assert_eq!((&sent["model"], &sent["reasoning"]["effort"]), (&json!("gpt-5.5"), &json!("low")));
    assert_eq!(sent["tools"][0]["type"], "web_search");
}

#[tokio::test]
async fn a_model_can_be_retrieved_by_every_name() {
    let proxy = Harness::start().await;
    for name in ["gpt-5.5", "openai%2Fgpt-5.5", "work", "gpt-4o-mini", "gpt-5.5-high"] {
        let reply = proxy.get(&format!("/v1/models/{name}")).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["id"]), (200, &json!(name.replace("%2F", "/"))), "{name}");
    }
    assert_eq!(proxy.get("/v1/models/gpt-9").await.status, 404);
}

#[tokio::test]
async fn requests_use_the_accounts_list_once_it_is_fetched() {
    let proxy = Harness::start_with(SimConfig { retired_models: false, ..backend() }, None).await;
    assert_eq!(proxy.app.client.model_cache().snapshot().source, CatalogueSource::BuiltIn);
    let refused = proxy.post("/v1/chat/completions", &ask_model("gpt-5.1-codex-mini")).await;
    assert_eq!(refused.status, 404, "{}", refused.text);
    // That request found the list out of date, so it is fetched now and once more afterwards.
    let app = proxy.app.clone();
    let keeper = tokio::spawn(async move { app.client.keep_models_fresh().await });
    while proxy.app.client.model_cache().snapshot().source != CatalogueSource::Live {
        tokio::task::yield_now().await;
    }
    let reply = proxy.post("/v1/chat/completions", &ask_model("gpt-5.1-codex-mini")).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(proxy.turns().pop().unwrap()["model"], "gpt-6-luna");
    keeper.abort();
}

#[tokio::test]
async fn an_old_list_is_refreshed_only_when_used() {
    let proxy = Harness::start().await;
    let app = proxy.app.clone();
    let keeper = tokio::spawn(async move { app.client.keep_models_fresh().await });
    let asked = || proxy.sim.requests().iter().filter(|request| request.path.contains("/codex/models")).count();
    while proxy.app.client.model_cache().snapshot().source != CatalogueSource::Live {
        tokio::task::yield_now().await;
    }
    assert_eq!(asked(), 1);
    let changed = [("x-models-etag".parse().unwrap(), "\"another\"".parse().unwrap())].into_iter().collect();
    proxy.app.client.model_cache().observe(&changed);
    assert_eq!(proxy.post("/v1/chat/completions", &ask("hi")).await.status, 200);
    while asked() < 2 {
        tokio::task::yield_now().await;
    }
    keeper.abort();
}
