//! Mounts the proxy at `/ai` of an axum server that has its own paths, log, login and shutdown. The backend is
//! simulated; see `codex_proxy::App::new` for the real one.
//!
//! ```text
//! cargo run -p examples --bin embed_axum
//! ```

use std::error::Error;
use std::io::{self, Write as _};
use std::net::Ipv4Addr;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;
use codex_proxy::{Access, App, CallerId, Config, Simulated};
use codex_upstream::{HttpUpstream, HttpUpstreamConfig, Upstream, read_to_end};
use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// The login of this server: rejects strangers, and names the user to the proxy, which stores responses for each.
async fn log_in(mut request: Request, next: Next) -> Response {
    let token = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let user = match token {
        Some("Bearer 1111") => CallerId::from("first user"),
        Some("Bearer 2222") => CallerId::from("second user"),
        _ => return StatusCode::UNAUTHORIZED.into_response(),
    };
    request.extensions_mut().insert(user);
    next.run(request).await
}

/// Serves until `shutdown` completes, and finishes what has begun.
async fn serve(listener: TcpListener, app: App, shutdown: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let router = Router::new()
        .route("/about", get(async || "a server with the proxy at /ai"))
        .nest_service("/ai", app.clone().mounted_at("/ai"))
        .layer(from_fn(log_in));
    let served = tokio::select! {
        served = axum::serve(listener, router).with_graceful_shutdown(shutdown).into_future() => served,
        () = app.keep_fresh() => Ok(()),
    };
    tracing::info!("draining");
    // Also after an error: a refresh in progress holds the only copy of a token.
    app.drain().await;
    served
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(io::stderr).with_env_filter("info").init();
    // The login above decides who may call.
    let config = Config::builder().access(Access::open()).build()?;
    let simulated = Simulated::start(config).await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let base = format!("http://{}", listener.local_addr()?);
    let (stop, stopped) = oneshot::channel::<()>();
    // Dropping the sender also stops the server.
    let server = tokio::spawn(serve(listener, simulated.app.clone(), async { drop(stopped.await) }));

    let client = HttpUpstream::new(HttpUpstreamConfig::default())?;
    // Sends a request, and prints and returns the reply.
    let ask = async |token: &str, method: &str, path: &str, body: String| -> Result<Vec<u8>, Box<dyn Error>> {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{base}{path}"))
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .header(CONTENT_TYPE, "application/json")
            .body(Bytes::from(body))?;
        let (head, body) = client.send(request).await?.into_parts();
        let body = read_to_end(body, 1 << 20).await?;
        writeln!(io::stdout(), "{token}: {method} {path}: {} {}", head.status, String::from_utf8_lossy(&body))?;
        Ok(body.to_vec())
    };
    ask("0000", "GET", "/about", String::new()).await?;
    ask("1111", "GET", "/about", String::new()).await?;
    let question = json!({"model": "gpt-5.1", "input": "Hello!"}).to_string();
    let reply: Value = serde_json::from_slice(&ask("1111", "POST", "/ai/v1/responses", question).await?)?;
    let path = format!("/ai/v1/responses/{}", reply["id"].as_str().unwrap_or_default());
    ask("1111", "GET", &path, String::new()).await?;
    ask("2222", "GET", &path, String::new()).await?;
    drop(stop);
    server.await??;
    Ok(())
}
