//! The commands about the login: logout, status, workspaces, the Codex CLI's login.

use std::time::Duration;

use codex_auth::BlockingStore;
use codex_sim::{Mint, Workspace};
use serde_json::Value;

use crate::process::{Home, Running, callback_ports};
use crate::support::ask;

#[tokio::test]
async fn logout_deletes_the_login_and_sends_no_requests() {
    let home = Home::new().await;
    home.run(&["logout"]).await.expect(0, &["not logged in"]);
    assert!(!home.path().exists(), "logout without a login creates no files");
    home.log_in(Mint::default());
    home.run(&["logout"]).await.expect(0, &["logged out", "credentials.json"]);
    assert!(!home.credentials().exists());
    assert!(home.sim.requests().is_empty());
    home.run(&["status"]).await.expect(1, &["not logged in"]);
}

#[tokio::test]
async fn logout_deletes_damaged_credentials_too() {
    let home = Home::new().await;
    home.log_in(Mint::default());
    std::fs::write(home.credentials(), "{").unwrap();
    home.run(&["logout", "--revoke", "--yes"]).await.expect(0, &["warning", "damaged", "logged out"]);
    assert!(!home.credentials().exists());
    assert!(home.sim.requests().is_empty());
}

#[tokio::test]
async fn logout_revokes_only_after_confirmation() {
    let home = Home::new().await;
    home.log_in(Mint::default());
    // Standard input is not a terminal, so no user can confirm.
    home.run(&["logout", "--revoke"]).await.expect(64, &["--yes"]);
    assert!(home.credentials().exists() && home.sim.requests().is_empty());

    let held = home.store().load().unwrap().unwrap();
    home.run(&["logout", "--revoke", "--yes"]).await.expect(0, &["revoked the login", "logged out"]);
    assert!(!home.credentials().exists());
    let requests = home.sim.requests();
    let body = requests[0].body.as_ref().unwrap();
    assert_eq!((requests.len(), requests[0].path.as_str()), (1, "/oauth/revoke"));
    assert_eq!(body["token"], held.refresh_token.unwrap().expose());
}

#[tokio::test]
async fn logout_that_cannot_revoke_warns_and_still_deletes() {
    let home = Home::new().await;
    home.log_in(Mint::default());
    let mut command = home.command(&["logout", "--revoke", "--yes"]);
    // No process listens on the discard port.
    let mut program = Running::of(command.env("CODEX_PROXY_AUTH_URL", "http://127.0.0.1:9"));
    assert_eq!(program.end().await, Some(0), "{}", program.output);
    assert!(program.output.contains("warning") && program.output.contains("logged out"), "{}", program.output);
    assert!(!home.credentials().exists());
}

#[tokio::test]
async fn status_shows_account_plan_workspace_and_quota() {
    let home = Home::new().await;
    home.log_in(Mint::default());
    home.sim.control().use_quota(50.0, 100.0);
    let ran = home.run(&["status"]).await;
    ran.expect(0, &["user@example.com", "Plus", "Personal", "days left", "refreshed automatically"]);
    ran.expect(
        0,
        &["5h", "[##########..........]  50 % used; resets in 26 minutes", "weekly", "[####################]"],
    );
    ran.expect(0, &["limit     reached: rate limit reached"]);

    let ran = home.run(&["status", "--json"]).await;
    ran.expect(0, &[]);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&told["usable"], &told["state"], &told["plan"]), (&true.into(), &"valid".into(), &"plus".into()));
    assert_eq!(told["workspace"], "Personal");
    let weekly = &told["quota"]["windows"][1];
    assert_eq!((&weekly["name"], &weekly["used_percent"]), (&"weekly".into(), &100.0.into()));
    assert!(weekly["resets_at"].as_str().unwrap().ends_with('Z') && told["quota_problem"].is_null());
}

#[tokio::test]
async fn status_offline_or_expired_sends_no_requests_and_refreshes_nothing() {
    let home = Home::new().await;
    home.log_in(Mint::default());
    home.run(&["status", "--offline"]).await.expect(0, &["user@example.com", "not queried: --offline"]);
    home.log_in(Mint { lifetime: Some(Duration::ZERO), ..Mint::default() });
    home.run(&["status"]).await.expect(0, &["the next request refreshes it"]);
    let ran = home.run(&["status", "--json"]).await;
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, &told["usable"], &told["state"]), (Some(0), &true.into(), &"renewable".into()));
    assert!(home.sim.requests().is_empty());
}

#[tokio::test]
async fn status_is_not_usable_if_the_backend_rejects_a_token_without_refresh() {
    let home = Home::new().await;
    home.log_in(Mint::default());
    home.sim.control().invalidate_access_tokens();
    home.run(&["status"]).await.expect(0, &["rejected the access token", "the next request refreshes it"]);
    let store = home.store();
    let mut tokens = store.load().unwrap().unwrap();
    tokens.refresh_token = None;
    let lock = store.try_lock().unwrap().unwrap();
    store.save(&lock, &tokens).unwrap();
    drop(lock);
    home.run(&["status"]).await.expect(1, &["rejected the access token", "run `codex-proxy login`"]);
}

#[tokio::test]
async fn status_does_not_wait_for_an_unreachable_backend() {
    let home = Home::new().await;
    home.log_in(Mint::default());
    home.sim.control().cloudflare(true);
    home.run(&["status"]).await.expect(0, &["user@example.com", "quota", "unknown"]);
    let mut command = home.command(&["status"]);
    let mut program = Running::of(command.env("CODEX_PROXY_UPSTREAM_URL", "http://127.0.0.1:9/backend-api"));
    assert_eq!(program.end().await, Some(0), "{}", program.output);
    assert!(program.output.contains("unknown: cannot connect"), "{}", program.output);
}

fn workspace(id: &str, name: &str, is_deactivated: bool) -> Workspace {
    Workspace { id: id.to_owned(), name: name.to_owned(), plan_type: "team".to_owned(), is_deactivated }
}

/// Logs in with a device code that is approved at once, with more arguments.
async fn log_in_by_device(home: &Home, arguments: &[&str]) -> (Option<i32>, String) {
    let mut program = home.start(&[&["login", "--device"], arguments].concat());
    let line = program.line("enter the code").await;
    home.sim.control().approve_device(line.rsplit(' ').next().unwrap()).unwrap();
    (program.end().await, program.output)
}

#[tokio::test]
async fn a_workspace_is_chosen_by_name_stored_and_used() {
    let home = Home::new().await;
    home.sim.control().workspaces(vec![workspace("ws-acme", "Acme", false), workspace("ws-gone", "Gone", true)]);
    let (code, output) = log_in_by_device(&home, &["--workspace", "acme"]).await;
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("Acme (ws-acme; team)"), "{output}");
    assert_eq!(home.store().load().unwrap().unwrap().account_id(), Some("ws-acme"));
    home.run(&["status"]).await.expect(0, &["Acme", "ws-acme"]);

    let proxy = home.serve(&[]).await;
    assert_eq!(proxy.post(None, &ask("hi")).await.0, 200);
    // A refreshed login stays in the workspace.
    home.sim.control().invalidate_access_tokens();
    assert_eq!(proxy.post(None, &ask("hi")).await.0, 200);
    let turns = home.sim.requests().into_iter().filter(|request| request.path.ends_with("/codex/responses"));
    let accounts: Vec<_> = turns.map(|turn| turn.header("chatgpt-account-id").unwrap().to_owned()).collect();
    assert_eq!(accounts, ["ws-acme"; 3]);
    assert_eq!(home.store().load().unwrap().unwrap().account_id(), Some("ws-acme"));
}

#[tokio::test]
async fn an_unknown_or_deactivated_workspace_changes_nothing() {
    let home = Home::new().await;
    home.log_in(Mint::default());
    let before = std::fs::read(home.credentials()).unwrap();
    home.sim.control().workspaces(vec![workspace("ws-acme", "Acme", false), workspace("ws-gone", "Gone", true)]);
    for (wanted, told) in [("nonesuch", "no workspace `nonesuch`"), ("ws-gone", "`ws-gone` is deactivated")] {
        let (code, output) = log_in_by_device(&home, &["--workspace", wanted]).await;
        assert_eq!(code, Some(1), "{output}");
        for text in [told, "Acme (ws-acme; team)", "Gone (ws-gone; team, deactivated)", "unchanged"] {
            assert!(output.contains(text), "{text:?} in: {output}");
        }
        assert_eq!(std::fs::read(home.credentials()).unwrap(), before);
    }
}

#[tokio::test]
async fn importing_the_codex_login_fails_with_the_reason() {
    let home = Home::new().await;
    home.log_in_to_codex(Mint::default());
    home.run(&["login", "--import-codex"]).await.expect(64, &["refresh token works once", "--from-codex"]);
    assert!(!home.path().exists() && home.sim.requests().is_empty());
}

#[tokio::test]
async fn the_codex_login_is_served_reloaded_and_never_refreshed() {
    let home = Home::new().await;
    home.run(&["status", "--from-codex"]).await.expect(1, &["not logged in", "run `codex`"]);
    let file = home.log_in_to_codex(Mint { lifetime: Some(Duration::ZERO), ..Mint::default() });
    let ended = std::fs::read(&file).unwrap();
    home.run(&["status", "--from-codex"]).await.expect(1, &["has ended", "run `codex`"]);

    let mut proxy = home.serve(&["--from-codex"]).await;
    let (status, text) = proxy.post(None, &ask("hi")).await;
    assert_eq!(status, 401, "{text}");
    assert!(text.contains("has ended") && text.contains("run `codex`"), "{text}");
    assert_eq!(std::fs::read(&file).unwrap(), ended);

    // The CLI refreshes its login; the proxy reloads it.
    home.log_in_to_codex(Mint::default());
    let renewed = std::fs::read(&file).unwrap();
    assert_eq!(proxy.post(None, &ask("hi")).await.0, 200);
    home.run(&["status", "--from-codex"])
        .await
        .expect(0, &["user@example.com", "auth.json", "not refreshed by codex-proxy"]);

    // If the backend rejects it early, it is not refreshed.
    home.sim.control().invalidate_access_tokens();
    let (status, text) = proxy.post(None, &ask("hi")).await;
    assert_eq!(status, 401, "{text}");
    assert!(text.contains("run `codex`"), "{text}");
    assert_eq!(std::fs::read(&file).unwrap(), renewed);
    assert!(home.sim.control().refresh_uses().is_empty());
    assert!(!home.credentials().exists());
    proxy.program.line("the login has ended").await;
}

#[tokio::test]
async fn a_simulated_backend_and_a_borrowed_login_exclude_each_other() {
    let home = Home::new().await;
    home.run(&["serve", "--simulate", "--from-codex"]).await.expect(64, &["--from-codex"]);
}

#[tokio::test]
async fn a_pasted_denial_ends_the_login_and_anything_else_does_not() {
    let _ports = callback_ports();
    let home = Home::new().await;
    let mut program = home.start(&["login", "--no-browser"]);
    let line = program.line("/oauth/authorize?").await;
    let url = url::Url::parse(line.trim()).unwrap();
    let parameter = |name: &str| url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    let (redirect, state) = (parameter("redirect_uri"), parameter("state"));
    program.line("paste it here").await;
    for pasted in ["hello there", &format!("{redirect}?code=x&state=other")] {
        program.say(pasted).await;
        program.line("paste the full URL").await;
    }
    program.say(&format!("{redirect}?error=access_denied&state={state}")).await;
    assert_eq!(program.end().await, Some(1), "{}", program.output);
    assert!(program.output.contains("the login was denied"), "{}", program.output);
    assert!(!home.credentials().exists());
}

#[tokio::test]
async fn a_machine_without_a_browser_gets_device_login_suggested() {
    let _ports = callback_ports();
    let home = Home::new().await;
    let mut command = home.command(&["login"]);
    let mut program = Running::of(command.env("SSH_CONNECTION", "192.0.2.1 50000 192.0.2.2 22").env("DISPLAY", ":0"));
    program.line("this is an SSH session").await;
    assert!(program.output.contains("--device"), "{}", program.output);
    program.line("paste it here").await;
}
