//! Embeds the whole proxy in a server: one path belongs to the server, all others to the proxy. The backend is
//! simulated; see `codex_proxy::App::new` for the real one.
//!
//! ```text
//! cargo run -p examples --bin embed_proxy
//! ```

use std::convert::Infallible;
use std::error::Error;
use std::io::{self, Write as _};
use std::net::Ipv4Addr;

use bytes::Bytes;
use codex_proxy::reply::{self, ReplyBody};
use codex_proxy::{App, Config, Simulated};
use codex_upstream::{HttpUpstream, HttpUpstreamConfig, Upstream, read_to_end};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tower::{Service, service_fn};

/// Answers a request: of the server itself, or else of the proxy.
async fn answer(mut proxy: App, request: Request<Incoming>) -> Result<Response<ReplyBody>, Infallible> {
    match request.uri().path() {
        "/about" => Ok(reply::json(StatusCode::OK, &json!({"about": "a server with the proxy embedded"}))),
        _ => proxy.call(request).await,
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let simulated = Simulated::start(Config::builder().build()?).await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let base = format!("http://{}", listener.local_addr()?);
    let (stop, stopped) = oneshot::channel::<()>();
    let proxy = simulated.app.clone();
    let service = service_fn(move |request| answer(proxy.clone(), request));
    // Dropping the sender also stops the server. Open replies and WebSocket turns are completed first.
    let server = tokio::spawn(simulated.app.clone().run_service(listener, service, async { drop(stopped.await) }));

    let client = HttpUpstream::new(HttpUpstreamConfig::default())?;
    let question = json!({"model": "gpt-5.1", "messages": [{"role": "user", "content": "Hello!"}]}).to_string();
    for (method, path, body) in [("GET", "/about", String::new()), ("POST", "/v1/chat/completions", question)] {
        let request = Request::builder().method(method).uri(format!("{base}{path}")).body(Bytes::from(body))?;
        let reply = client.send(request).await?;
        let body = read_to_end(reply.into_body(), 1 << 20).await?;
        writeln!(io::stdout(), "{method} {path}: {}", String::from_utf8_lossy(&body))?;
    }
    drop(stop);
    server.await?;
    Ok(())
}
