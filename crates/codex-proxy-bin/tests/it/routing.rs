//! The selected workspace determines where requests are sent.

use codex_auth::MemoryStore;
use codex_sim::{Sim, Workspace};
use serde_json::{Value, json};

use crate::support::{Harness, ask, ask_streaming, backend, tokens_of};

const OVERRIDE: &str = "x-openai-account-routing-override";

async fn in_workspace(is_deactivated: bool) -> Harness {
    let sim = Sim::start(backend()).await.unwrap();
    let (id, name, plan_type) = ("ws-acme".to_owned(), "Acme".to_owned(), "team".to_owned());
    sim.control().workspaces(vec![Workspace { id: id.clone(), name, plan_type, is_deactivated }]);
    let mut tokens = tokens_of(&sim);
    tokens.account_id = Some(id);
    Harness::start_over(sim, MemoryStore::with_tokens(tokens), None).await
}

#[tokio::test]
async fn every_request_names_the_workspaces_region_which_is_looked_up_once() {
    let proxy = in_workspace(false).await;
    proxy.sim.control().region(Some("us".to_owned()));
    for _ in 0..2 {
        assert_eq!(proxy.post("/v1/chat/completions", &ask("hi")).await.status, 200);
    }
    assert_eq!(proxy.get("/v1/models").await.status, 200);
    let requests = proxy.sim.requests();
    let paths: Vec<_> = requests.iter().map(|request| request.path.rsplit('/').next().unwrap()).collect();
    assert_eq!(
        paths.iter().map(|path| path.split('?').next().unwrap()).collect::<Vec<_>>(),
        ["check", "responses", "responses", "models"]
    );
    for (request, region) in requests.iter().zip([None, Some("us"), Some("us"), Some("us")]) {
        assert_eq!((request.header(OVERRIDE), request.header("chatgpt-account-id")), (region, Some("ws-acme")));
    }
}

#[tokio::test]
async fn a_deactivated_workspace_is_an_error_and_nothing_is_sent() {
    let proxy = in_workspace(true).await;
    for body in [ask("hi"), ask_streaming("hi")] {
        let reply = proxy.post("/v1/chat/completions", &body).await;
        let error = &reply.json()["error"];
        assert_eq!((reply.status.as_u16(), &error["code"]), (403, &json!("deactivated_workspace")), "{error}");
        assert!(error["message"].as_str().unwrap().contains("`Acme` is deactivated"), "{error}");
    }
    assert_eq!(proxy.turns(), Vec::<Value>::new());
    assert_eq!(proxy.get("/v1/models").await.status, 200, "the known models are still listed");
}
