//! Secrets reach only the store, never the output or another file, whatever fails and however much is logged.

use std::collections::BTreeSet;

use codex_auth::BlockingStore;
use codex_sim::{Mint, RefreshFault, Workspace};
use serde_json::json;

use crate::process::{Home, Running, Serving, callback_ports};
use crate::raw;
use crate::support::{ask, ask_streaming};

const KEY: &str = "the-key-of-this-proxy-3f9a61c0";
const WRONG_KEY: &str = "a-key-that-is-mistaken-77d2e1";
const PROMPT: &str = "a-prompt-that-is-nobodys-business-18c4";
const WRONG_CODE: &str = "ac_a-code-of-another-login-5b1c";

/// A part of a secret reveals it, too.
const PART: usize = 20;

/// The same, in an error about the client's own request.
const QUOTED: &str = "a-value-that-is-quoted-in-an-error-59a0";

/// All output of the programs, and what it must not contain.
#[derive(Default)]
struct Trial {
    said: String,
    secrets: BTreeSet<String>,
}

impl Trial {
    fn new() -> Self {
        let mut trial = Self::default();
        trial.secrets.extend([KEY, WRONG_KEY, WRONG_CODE].map(str::to_owned));
        trial
    }

    fn start(home: &Home, arguments: &[&str]) -> Running {
        Running::of(home.command(arguments).env("CODEX_PROXY_LOG", "trace").env("CODEX_PROXY_API_KEY", KEY))
    }

    /// Runs a command to its end.
    async fn run(&mut self, home: &Home, arguments: &[&str], code: i32) {
        let program = Self::start(home, arguments);
        self.end(home, program, code).await;
    }

    async fn end(&mut self, home: &Home, mut program: Running, code: i32) {
        let ended = program.end().await;
        assert_eq!(ended, Some(code), "{}", program.output);
        self.said.push_str(&program.output);
        self.collect(home);
    }

    /// Records the tokens in the store, and every secret that reached the simulator.
    fn collect(&mut self, home: &Home) {
        if let Ok(Some(tokens)) = home.store().load() {
            let held = [Some(tokens.access_token), tokens.refresh_token, tokens.id_token];
            self.secrets.extend(held.into_iter().flatten().map(|secret| secret.expose().to_owned()));
        }
        for request in home.sim.requests() {
            let bearer = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
            self.secrets.extend(bearer.map(str::to_owned));
            let fields = ["code", "code_verifier", "refresh_token", "token", "device_auth_id"];
            let sent = fields.into_iter().filter_map(|field| request.body.as_ref()?.get(field)?.as_str());
            self.secrets.extend(sent.map(str::to_owned));
        }
    }

    /// Searches a text for every part of every secret.
    #[track_caller]
    fn search(&self, text: &str, name: &str) {
        for secret in &self.secrets {
            let mut at = 0;
            while at < secret.len() {
                let end = (at + PART).min(secret.len());
                let part = &secret[end.saturating_sub(PART)..end];
                if let Some(found) = text.find(part) {
                    let line = text[..found].rfind('\n').map_or(0, |newline| newline + 1);
                    panic!("{part:?} of a secret in {name}: {}", text[line..].lines().next().unwrap_or_default());
                }
                at = end;
            }
        }
        // Anything that looks like a token is one; but not the end of a word, as in `support_verbosity`.
        let ends_a_word = |at: usize| text[..at].ends_with(|c: char| c.is_ascii_lowercase());
        assert!(text.match_indices("rt_").all(|(at, _)| ends_a_word(at)), "a refresh token in {name}");
        for token in ["eyJ", "Bearer ey"] {
            assert!(!text.contains(token), "{token:?} in {name}");
        }
    }
}

/// Searches a text for the content of requests.
#[track_caller]
fn search_content(text: &str, name: &str) {
    for content in [PROMPT, QUOTED] {
        if let Some(line) = text.lines().find(|line| line.contains(content)) {
            panic!("the content of a request in {name}: {line}");
        }
    }
}

async fn log_in_by_paste(home: &Home, trial: &mut Trial) {
    let _ports = callback_ports();
    let mut program = Trial::start(home, &["login", "--no-browser"]);
    let line = program.line("/oauth/authorize?").await;
    let landed = home.approve(line.trim()).await;
    let (redirect, _) = landed.split_once('?').unwrap();
    program.line("paste it here").await;
    program.say(&format!("{redirect}?code={WRONG_CODE}&state=of-another-login")).await;
    program.line("paste the full URL").await;
    program.say(&landed).await;
    trial.end(home, program, 0).await;
}

async fn log_in_by_device(home: &Home, trial: &mut Trial) {
    let workspace = Workspace {
        id: "ws-acme".to_owned(),
        name: "Acme".to_owned(),
        plan_type: "team".to_owned(),
        is_deactivated: false,
    };
    home.sim.control().workspaces(vec![workspace]);
    let mut program = Trial::start(home, &["login", "--device", "--workspace", "Acme"]);
    let line = program.line("enter the code").await;
    home.sim.control().approve_device(line.rsplit(' ').next().unwrap()).unwrap();
    trial.end(home, program, 0).await;
}

/// Sends chat requests, refreshes, and provokes failures of both servers.
async fn serve(home: &Home, trial: &mut Trial, fault: RefreshFault, arguments: &[&str]) {
    let arguments = [&["serve", "--host", "127.0.0.1", "-p", "0"], arguments].concat();
    let proxy = Serving::of(Trial::start(home, &arguments)).await;
    let control = home.sim.control();
    for key in [None, Some(WRONG_KEY)] {
        assert_eq!(proxy.post(key, &ask("hi")).await.0, 401);
    }
    // As the clients of other services send keys.
    let elsewhere = [
        format!("GET /v1/models?key={KEY} HTTP/1.1\r\n"),
        format!("GET /v1/models?key={KEY} HTTP/1.1\r\napi-key: {WRONG_KEY}\r\n"),
        format!("GET /v1beta/models?key={KEY} HTTP/1.1\r\napi-key: {KEY}\r\n"),
    ];
    for (start, status) in elsewhere.iter().zip([401, 401, 404]) {
        let reply = raw::send(&proxy.url, &format!("{start}host: localhost\r\nconnection: close\r\n\r\n")).await;
        assert_eq!(reply.status, status, "{start}");
        trial.search(&reply.body, start.split('?').next().unwrap());
    }
    let mut replies = String::new();
    let mut quoted = ask(PROMPT);
    quoted["tools"] = json!([{"type": "function", "function": {"name": "f"}}]);
    quoted["tool_choice"] = json!({"type": "function", "function": {"name": QUOTED}});
    let prompts = ["", "[sim:failed=server_error]", "[sim:cut]", "[sim:422]", "[sim:401]"];
    let bodies =
        prompts.map(|how| format!("{how} {PROMPT}")).into_iter().flat_map(|text| [ask(&text), ask_streaming(&text)]);
    for body in bodies.chain([ask("[sim:429-usage]"), quoted, json!({"model": 7})]) {
        replies.push_str(&proxy.post(Some(KEY), &body).await.1);
        trial.collect(home);
    }
    for fault in [None, Some(fault)] {
        control.invalidate_access_tokens();
        if let Some(fault) = fault {
            control.fault_refresh(fault).unwrap();
        }
        replies.push_str(&proxy.post(Some(KEY), &ask("hi")).await.1);
        trial.collect(home);
    }
    trial.search(&replies, "the replies");
    assert!(replies.contains(PROMPT) && replies.contains(QUOTED), "the client itself gets the error: {replies}");
    for path in ["/", "/status.json", "/metrics", "/v1/usage", "/v1/models", "/health", "/health/ready"] {
        let (_, shown) = proxy.get(KEY, path).await;
        trial.search(&shown, path);
        search_content(&shown, path);
    }
    proxy.program.stop().await;
    trial.end(home, proxy.program, 0).await;
}

#[tokio::test]
async fn no_secret_leaves_the_store() {
    let home = Home::new().await;
    let mut trial = Trial::new();
    log_in_by_paste(&home, &mut trial).await;
    serve(&home, &mut trial, RefreshFault::Cloudflare, &[]).await;
    log_in_by_device(&home, &mut trial).await;
    serve(&home, &mut trial, RefreshFault::ConsumeThenDrop, &["--log-format", "json"]).await;
    home.log_in_to_codex(Mint::default());
    serve(&home, &mut trial, RefreshFault::Hang, &["--from-codex"]).await;
    home.log_in(Mint::default());
    for arguments in [&["status"][..], &["status", "--json"], &["doctor", "-p", "0"]] {
        trial.run(&home, arguments, 0).await;
    }
    for file in home.files() {
        let is_store = file == home.credentials() || file.starts_with(home.codex_home());
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        if is_store {
            assert!(text.contains("eyJ"), "the store holds the tokens");
        } else {
            trial.search(&text, &file.display().to_string());
            search_content(&text, &file.display().to_string());
        }
    }
    trial.run(&home, &["logout", "--revoke", "--yes"], 0).await;
    assert!(!home.credentials().exists());
    for text in [
        "DEBUG",
        "refreshing the access token",
        "a bot challenge",
        "response was lost",
        "logged out",
        "\"endpoint\":\"chat\"",
        "endpoint=\"chat\"",
    ] {
        assert!(trial.said.contains(text), "{text:?} did not occur");
    }
    assert!(trial.secrets.len() > 20, "{}", trial.secrets.len());
    trial.search(&trial.said, "the output");
    search_content(&trial.said, "the output");
}
