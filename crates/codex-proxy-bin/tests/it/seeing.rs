//! What operators see of the program: its log, its metrics, its status page, the quota, the probes.

use codex_auth::MemoryStore;
use codex_sim::{Outcome, Sim};
use http::Method;
use serde_json::{Value, json};

use crate::process::Home;
use crate::support::{Harness, Reply, ask, ask_streaming, backend, read_until};

/// Waits until the program has recorded the end of the previous request.
async fn settled(proxy: &Harness) {
    while !proxy.app.request_log.live().is_empty() {
        tokio::task::yield_now().await;
    }
}

async fn recent(proxy: &Harness) -> Vec<Value> {
    settled(proxy).await;
    proxy.get("/status.json").await.json()["recent"].as_array().unwrap().clone()
}

async fn metric(proxy: &Harness, sample: &str) -> Option<f64> {
    settled(proxy).await;
    let text = proxy.get("/metrics").await.text;
    text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok())
}

#[tokio::test]
async fn a_request_is_one_row_without_its_content() {
    let proxy = Harness::start().await;
    let headers = [("user-agent", "OpenAI/Python 2.8.0"), ("x-request-id", "mine-1")];
    let body = json!({"model": "gpt-5.5-high", "stream": true, "temperature": 0.7,
        "messages": [{"role": "user", "content": "the unspeakable"}]});
    let reply = proxy.send(Method::POST, "/v1/chat/completions", &headers, body.to_string()).await;
    assert_eq!(reply.header("x-request-id"), Some("mine-1"));
    let rows = recent(&proxy).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    let row = &rows[0];
    for (field, value) in [
        ("request_id", json!("mine-1")),
        ("client", json!("OpenAI/Python")),
        ("endpoint", json!("chat")),
        ("model", json!("gpt-5.5")),
        ("effort", json!("high")),
        ("is_stream", json!(true)),
        ("status", json!(200)),
        ("finish", json!("stop")),
        ("error", json!(null)),
        ("notices", json!(2)),
    ] {
        assert_eq!(row[field], value, "{field} of {row}");
    }
    for field in ["input_tokens", "output_tokens", "first_byte_ms", "total_ms"] {
        assert!(row[field].is_u64(), "{field} of {row}");
    }
    assert!(!proxy.get("/status.json").await.text.contains("unspeakable"));
}

#[tokio::test]
async fn an_id_that_is_invalid_in_a_log_is_replaced() {
    let proxy = Harness::start().await;
    for id in ["two words", &"x".repeat(129), ""] {
        let reply = proxy.send(Method::GET, "/v1/models", &[("x-request-id", id)], "").await;
        assert!(reply.header("x-request-id").unwrap().starts_with("req_"), "{id}");
    }
}

#[tokio::test]
async fn failures_are_rows_too() {
    let proxy = Harness::start().await;
    proxy.post("/v1/chat/completions", &json!({"model": "gpt-5.1"})).await;
    proxy.post("/v1/chat/completions", &ask("[sim:429-usage]")).await;
    proxy.post("/v1/responses", &json!({"model": "gpt-5.1", "input": "[sim:cut]", "stream": true})).await;
    proxy.get("/nowhere").await;
    proxy.get("/v1/models").await;
    let rows = recent(&proxy).await;
    let told: Vec<_> =
        rows.iter().map(|row| (&row["endpoint"], &row["status"], &row["finish"], &row["error"])).collect();
    let expected = [
        ("models", 200, json!(null), json!(null)),
        ("other", 404, json!("error"), json!(null)),
        ("responses", 200, json!("error"), json!("stream_truncated")),
        ("chat", 429, json!("error"), json!("usage_limit_reached")),
        ("chat", 400, json!("error"), json!("missing_required_parameter (messages)")),
    ];
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for (told, (endpoint, status, finish, error)) in told.into_iter().zip(&expected) {
        assert_eq!(told, (&json!(endpoint), &json!(status), finish, error));
    }
}

#[tokio::test]
async fn a_stream_is_live_until_its_client_disconnects() {
    let proxy = Harness::start().await;
    let body = ask_streaming("[sim:text=Hello there][sim:stall]").to_string();
    let (_, mut stream) = proxy.open(Method::POST, "/v1/chat/completions", &[], body).await;
    read_until(&mut stream, "assistant").await;
    let status = proxy.get("/status.json").await.json();
    assert_eq!((&status["running"], &status["live"][0]["model"]), (&json!(1), &json!("gpt-5.1")));
    let text = proxy.get("/metrics").await.text;
    assert!(
        text.contains("\ncodex_proxy_open_streams 1\n") && text.contains("\ncodex_proxy_active_turns 1\n"),
        "{text}"
    );
    drop(stream);
    let rows = recent(&proxy).await;
    assert_eq!((rows[0]["status"].as_u64(), rows[0]["finish"].as_str()), (Some(200), Some("client_gone")));
    assert_eq!(metric(&proxy, "codex_proxy_open_streams").await, Some(0.0));
    while !proxy.sim.requests().iter().any(|request| request.outcome == Outcome::Disconnected) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn requests_are_counted_by_labels_that_no_caller_can_multiply() {
    let proxy = Harness::start().await;
    let catalogue = proxy.get("/v1/models").await.json();
    let model = catalogue["data"][0]["id"].as_str().unwrap();
    for model in [model, model, "made-up-1", "made-up-2"] {
        let mut body = ask_streaming("hi");
        body["model"] = model.into();
        proxy.post("/v1/chat/completions", &body).await;
    }
    proxy.get("/made-up-path").await;
    settled(&proxy).await;
    let text = proxy.get("/metrics").await.text;
    assert!(!text.contains("made-up"), "{text}");
    let labels = format!(r#"{{endpoint="chat",model="{model}",code="200",finish="stop"}}"#);
    assert_eq!(metric(&proxy, &format!("codex_proxy_requests_total{labels}")).await, Some(2.0), "{text}");
    let count = metric(&proxy, r#"codex_proxy_first_byte_seconds_count{endpoint="chat"}"#).await;
    assert!(count >= Some(2.0), "{text}");
    let mut rows = recent(&proxy).await;
    rows.retain(|row| row["model"] == model);
    for kind in ["input", "cached", "output", "reasoning"] {
        let sample = format!(r#"codex_proxy_tokens_total{{model="{model}",kind="{kind}"}}"#);
        let sum = rows.iter().map(|row| row[format!("{kind}_tokens")].as_f64().unwrap()).sum();
        assert_eq!(metric(&proxy, &sample).await, Some(sum), "{kind}");
    }
}

#[tokio::test]
async fn retries_and_refreshes_are_counted() {
    let proxy = Harness::start().await;
    let refreshes = |outcome: &str| format!(r#"codex_proxy_token_refreshes_total{{outcome="{outcome}"}}"#);
    assert_eq!(metric(&proxy, "codex_proxy_upstream_retries_total").await, Some(0.0));
    proxy.sim.control().queue("503=slow_down").unwrap();
    proxy.post("/v1/chat/completions", &ask("hi")).await;
    assert_eq!(metric(&proxy, "codex_proxy_upstream_retries_total").await, Some(1.0));
    proxy.sim.control().invalidate_access_tokens();
    assert_eq!(proxy.post("/v1/chat/completions", &ask("hi")).await.status, 200);
    assert_eq!(metric(&proxy, "codex_proxy_upstream_retries_total").await, Some(2.0));
    assert_eq!(metric(&proxy, &refreshes("ok")).await, Some(1.0));
    assert_eq!(metric(&proxy, &refreshes("refused")).await, Some(0.0));
}

#[tokio::test]
async fn usage_is_queried_once_a_minute_and_kept_if_the_backend_fails() {
    let proxy = Harness::start().await;
    let asked = || proxy.sim.requests().iter().filter(|request| request.path.ends_with("/wham/usage")).count();
    let (one, other) = tokio::join!(proxy.get("/v1/usage"), proxy.get("/usage"));
    assert_eq!((one.status.as_u16(), other.status.as_u16(), asked()), (200, 200, 1));
    let usage = one.json();
    assert_eq!((&usage["plan"], &usage["is_stale"], &usage["problem"]), (&json!("plus"), &json!(false), &json!(null)));
    let windows = usage["windows"].as_array().unwrap();
    let short = windows.iter().find(|window| window["name"] == "5h").unwrap();
    assert_eq!((short["used_percent"].as_f64(), short["remaining_percent"].as_f64()), (Some(9.0), Some(91.0)));
    assert!(short["resets_at"].as_str().unwrap().ends_with('Z') && short["resets_in_seconds"].is_u64(), "{short}");
    assert!(windows.iter().any(|window| window["name"] == "weekly"));
    assert_eq!(metric(&proxy, r#"codex_proxy_quota_used_ratio{window="5h",limit="codex"}"#).await, Some(0.09));
    let reset = metric(&proxy, r#"codex_proxy_quota_reset_timestamp_seconds{window="5h",limit="codex"}"#).await;
    assert!(reset > Some(1.0e9), "{reset:?}");
    // A quota in a reply is newer than the answer to a query.
    proxy.sim.control().use_quota(42.0, 50.0);
    proxy.post("/v1/chat/completions", &ask("hi")).await;
    let usage = proxy.get("/v1/usage").await.json();
    assert_eq!((usage["windows"][0]["used_percent"].as_f64(), asked()), (Some(42.0), 1));
}

#[tokio::test]
async fn usage_comes_from_replies_if_the_backend_does_not_answer() {
    let proxy = Harness::start().await;
    proxy.post("/v1/chat/completions", &ask("hi")).await;
    proxy.sim.control().cloudflare(true);
    let usage = proxy.get("/v1/usage").await;
    assert_eq!(usage.status, 200, "{}", usage.text);
    let usage = usage.json();
    assert_eq!((&usage["is_stale"], usage["windows"][0]["used_percent"].as_f64()), (&json!(true), Some(9.0)));
    assert!(usage["problem"].as_str().unwrap().contains("Cloudflare") && usage["age_seconds"].is_u64(), "{usage}");
}

async fn logged_out() -> Harness {
    Harness::start_over(Sim::start(backend()).await.unwrap(), MemoryStore::default(), None).await
}

#[tokio::test]
async fn without_a_login_every_endpoint_reports_it() {
    let proxy = logged_out().await;
    assert_eq!(proxy.get("/health").await.status, 200);
    assert_eq!(proxy.get("/health/live").await.json(), json!({"status": "ok"}));
    let ready = proxy.get("/health/ready").await;
    assert_eq!(ready.status, 503);
    let problem = ready.json()["login"]["problem"].as_str().unwrap().to_owned();
    assert!(problem.contains("`codex-proxy login`"), "{problem}");
    assert_eq!(proxy.get("/v1/usage").await.status, 401);
    assert_eq!(metric(&proxy, "codex_proxy_login_usable").await, Some(0.0));
    let status = proxy.get("/status.json").await.json();
    assert_eq!((&status["login"]["state"], &status["quota"]["windows"]), (&json!("logged_out"), &json!([])));
}

#[tokio::test]
async fn the_program_is_ready_when_login_and_models_are_known() {
    let proxy = Harness::start().await;
    let ready = proxy.get("/health/ready").await;
    assert_eq!((ready.status.as_u16(), &ready.json()["login"]), (503, &json!({"ok": true})));
    assert!(ready.json()["models"]["problem"].as_str().unwrap().contains("codex-proxy doctor"));
    proxy.get("/v1/models").await;
    let ready = proxy.get("/health/ready").await;
    assert_eq!((ready.status.as_u16(), &ready.json()["status"]), (200, &json!("ready")));
}

/// Checks the headers that isolate the page.
fn check_page(reply: &Reply) {
    assert_eq!((reply.status.as_u16(), reply.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = reply.header("content-security-policy").unwrap();
    for directive in ["default-src 'none'", "script-src 'sha256-", "style-src 'sha256-", "frame-ancestors 'none'"] {
        assert!(policy.contains(directive) && !policy.contains("unsafe"), "{policy}");
    }
    let expected =
        [("x-frame-options", "DENY"), ("referrer-policy", "no-referrer"), ("x-content-type-options", "nosniff")];
    for (name, value) in expected {
        assert_eq!(reply.header(name), Some(value));
    }
}

#[tokio::test]
async fn the_data_need_the_key_and_the_page_itself_does_not() {
    let proxy = Harness::start_with(backend(), Some("k")).await;
    for path in ["/metrics", "/status.json", "/v1/usage"] {
        assert_eq!(proxy.get(path).await.status, 401, "{path}");
        assert_eq!(proxy.send(Method::GET, path, &[("authorization", "Bearer k")], "").await.status, 200, "{path}");
    }
    check_page(&proxy.get("/").await);
    for path in ["/health", "/health/live"] {
        assert_eq!(proxy.get(path).await.status, 200, "{path}");
    }
    let status = proxy.send(Method::GET, "/status.json", &[("authorization", "Bearer k")], "").await;
    assert_eq!(status.json()["login"]["email"], "u•••@example.com");
    assert_eq!(status.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn without_a_key_no_web_page_sees_anything() {
    let proxy = Harness::start().await;
    check_page(&proxy.get("/").await);
    for path in ["/", "/metrics", "/status.json", "/v1/usage"] {
        for header in [("host", "evil.example"), ("origin", "https://evil.example"), ("x-forwarded-for", "192.0.2.1")] {
            assert_eq!(proxy.send(Method::GET, path, &[header], "").await.status, 403, "{path} {header:?}");
        }
    }
}

#[tokio::test]
async fn the_log_has_one_line_per_request_in_either_format() {
    let home = Home::new().await;
    home.log_in(codex_sim::Mint::default());
    for arguments in [&[][..], &["--log-format", "json"]] {
        let proxy = home.serve(arguments).await;
        assert_eq!(proxy.post(None, &ask("hi")).await.0, 200);
        assert_eq!(proxy.post(None, &ask("[sim:429-usage]")).await.0, 429);
        proxy.program.stop().await;
        let mut program = proxy.program;
        assert_eq!(program.end().await, Some(0), "{}", program.output);
        let lines: Vec<_> = program.output.lines().filter(|line| line.contains("endpoint")).collect();
        assert_eq!(lines.len(), 2, "{}", program.output);
        if arguments.is_empty() {
            for part in
                [" INFO ", "endpoint=\"chat\"", "model=\"gpt-5.1\"", "status=200", "output_tokens=", "finish=\"stop\""]
            {
                assert!(lines[0].contains(part), "{part} in {}", lines[0]);
            }
            assert!(lines[1].contains(" WARN ") && lines[1].contains("error=\"usage_limit_reached\""), "{}", lines[1]);
        } else {
            let lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
            let told = |line: &Value| {
                json!([line["level"], line["message"], line["endpoint"], line["status"], line["finish"]])
            };
            assert_eq!(told(&lines[0]), json!(["INFO", "request", "chat", 200, "stop"]));
            assert_eq!(told(&lines[1]), json!(["WARN", "request", "chat", 429, "error"]));
            assert!(lines[0]["request_id"].as_str().unwrap().starts_with("req_") && lines[0]["total_ms"].is_u64());
            let all: Vec<_> = program.output.lines().collect();
            assert!(all.iter().all(|line| line.starts_with('{')), "{all:?}");
        }
    }
}

/// Its error is no output of the reply, and an open stream counts from its beginning.
#[tokio::test]
async fn a_stream_that_fails_before_its_first_output_is_recorded_as_a_stream() {
    let proxy = Harness::start().await;
    for path in ["/v1/chat/completions", "/v1/responses"] {
        let body = json!({"model": "gpt-5.5", "stream": true, "input": "[sim:429-usage]",
            "messages": [{"role": "user", "content": "[sim:429-usage]"}]});
        let mut body = body;
        body.as_object_mut().unwrap().remove(if path.ends_with("responses") { "messages" } else { "input" });
        assert_eq!(proxy.post(path, &body).await.status, 429);
        settled(&proxy).await;
        let entry = proxy.app.request_log.recent().remove(0);
        assert_eq!((entry.is_stream, entry.first_byte, entry.finish), (true, None, Some("error")), "{path}");
    }
}
