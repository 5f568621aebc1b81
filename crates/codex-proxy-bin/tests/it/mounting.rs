//! The app in other servers: as a service for any body, under a path, and behind a login that is not its own.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::{map_request, map_response};
use axum::routing::get;
use bytes::Bytes;
use codex_auth::MemoryStore;
use codex_proxy::{Access, Advice, App, CallerId, Limits, Peer};
use codex_sim::Sim;
use futures_util::stream;
use http::{Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Error as SocketError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tower::{Service, ServiceExt as _, service_fn};

use crate::sockets::{Client, create};
use crate::support::{Harness, Reply, ask, ask_streaming, backend, tokens_of};

const CHAT: &str = "/v1/chat/completions";

async fn proxy(access: Access) -> Harness {
    proxy_with(access, Limits::default()).await
}

async fn proxy_with(access: Access, limits: Limits) -> Harness {
    let sim = Sim::start(backend()).await.unwrap();
    let store = MemoryStore::with_tokens(tokens_of(&sim));
    Harness::start_under(sim, store, access, limits).await
}

fn post<B>(path: &str, body: B) -> http::Request<B> {
    http::Request::post(path).header("content-type", "application/json").body(body).unwrap()
}

fn full(json: &Value) -> Full<Bytes> {
    json.to_string().into()
}

async fn read<B: Body<Error: std::fmt::Debug>>(response: Response<B>) -> Reply {
    let (head, body) = response.into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    Reply { status: head.status, headers: head.headers, text }
}

/// Sends a request through a service.
async fn call<S, A, B>(service: &S, request: http::Request<A>) -> Reply
where
    S: Service<http::Request<A>, Response = Response<B>, Error = Infallible> + Clone,
    B: Body<Error: std::fmt::Debug>,
{
    read(service.clone().oneshot(request).await.unwrap()).await
}

/// Serves a router until the sender is used or dropped; returns its address and its end.
async fn serve(router: Router) -> (String, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let server = tokio::spawn(async move {
        axum::serve(listener, service).with_graceful_shutdown(async { drop(stopped.await) }).await.unwrap();
    });
    (base, stop, server)
}

#[tokio::test]
async fn a_body_of_any_type_is_read() {
    let proxy = proxy(Access::open()).await;
    let app = &proxy.app;
    let reply = call(app, post(CHAT, full(&ask("[sim:text=one]")))).await;
    assert_eq!((reply.status, &reply.json()["choices"][0]["message"]["content"]), (StatusCode::OK, &json!("one")));
    // In pieces that are not contiguous, with trailers, and from a body that must not move.
    let text = ask_streaming("[sim:text=two]").to_string().into_bytes();
    let (begin, end) = text.split_at(20);
    let mut ring: VecDeque<u8> = end.iter().copied().collect();
    begin.iter().rev().for_each(|byte| ring.push_front(*byte));
    let frames = [Frame::data(ring), Frame::trailers(http::HeaderMap::new())].map(Ok::<_, io::Error>);
    let pieces = StreamBody::new(stream::unfold(frames.into_iter(), async |mut frames| Some((frames.next()?, frames))));
    assert_eq!(call(app, post(CHAT, pieces)).await.streamed_text(), "two");
    let reply = read(app.answer(post(CHAT, full(&ask("hi"))), Peer::Unix).await).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn an_error_of_a_body_is_a_status() {
    let proxy = proxy(Access::open()).await;
    let app = &proxy.app;
    let cut_off = |error: io::Error| {
        let frames = [Ok(Frame::data(Bytes::from_static(b"{\"model\":"))), Err(error)];
        post(CHAT, StreamBody::new(stream::iter(frames)))
    };
    let reply = call(app, cut_off(io::ErrorKind::ConnectionReset.into())).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["error"]["type"]), (400, &json!("invalid_request_error")));
    let limited = || Limited::new(full(&ask("hi")), 10);
    assert_eq!(call(app, post(CHAT, limited())).await.status, 413);
    // axum wraps the error of a layer in its own.
    assert_eq!(call(app, post(CHAT, axum::body::Body::new(limited()))).await.status, 413);
    assert_eq!(proxy.turns().len(), 0);
}

#[tokio::test]
async fn a_peer_that_no_layer_names_needs_a_key() {
    let closed = proxy(Access::default()).await;
    let reply = call(&closed.app, post(CHAT, full(&ask("hi")))).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["error"]["code"]), (403, &json!("remote_without_api_key")));
    let mut request = post(CHAT, full(&ask("hi")));
    request.extensions_mut().insert(Peer::from(SocketAddr::from(([127, 0, 0, 1], 9))));
    assert_eq!(call(&closed.app, request).await.status, 200);

    let keyed = proxy(Access { keys: "secret".parse().unwrap(), ..Access::default() }).await;
    assert_eq!(call(&keyed.app, post(CHAT, full(&ask("hi")))).await.status, 401);
    let mut request = post(CHAT, full(&ask("hi")));
    request.headers_mut().insert("authorization", "Bearer secret".parse().unwrap());
    assert_eq!(call(&keyed.app, request).await.status, 200);
}

#[tokio::test]
async fn axum_names_the_peer_with_a_layer() {
    let proxy = proxy(Access::default()).await;
    let named = map_request(|ConnectInfo(address): ConnectInfo<SocketAddr>, mut request: Request| async move {
        request.extensions_mut().insert(Peer::from(address));
        request
    });
    let (base, _stop, _) = serve(Router::new().fallback_service(proxy.app.clone()).layer(named)).await;
    assert_eq!(call_at(&base, "/v1/models").await.status, 200);
    let (base, _stop, _) = serve(Router::new().fallback_service(proxy.app.clone())).await;
    assert_eq!(call_at(&base, "/v1/models").await.status, 403);
}

async fn call_at(base: &str, path: &str) -> Reply {
    let raw = crate::raw::send(base, &crate::raw::request(&format!("GET {path}"), &["host: localhost"], "")).await;
    Reply { status: raw.status.try_into().unwrap(), headers: http::HeaderMap::new(), text: raw.body }
}

/// Returns routers with the app at `/ai`: one removes the prefix of what it nests, the other does not.
fn routers(app: &App) -> [Router; 2] {
    let own = || Router::new().route("/own", get(async || "own"));
    let (nested, whole) = (app.clone().mounted_at("ai/"), app.clone().stripping_prefix("ai/"));
    [own().nest_service("/ai", nested), own().fallback_service(whole)]
}

#[tokio::test]
async fn everything_names_its_paths_under_the_prefix() {
    let proxy = proxy(Access::open().with_shared_status()).await;
    for router in routers(&proxy.app) {
        let get = async |path: &str| call(&router, http::Request::get(path).body(String::new()).unwrap()).await;
        assert_eq!(get("/own").await.text, "own");
        assert_eq!(get("/ai/v1/models").await.json()["object"], "list");
        assert_eq!(call(&router, post("/ai/v1/chat/completions", full(&ask("hi")))).await.status, 200);
        for page in ["/ai", "/ai/"] {
            assert!(get(page).await.text.starts_with("<!doctype html>"), "{page}");
        }
        assert_eq!(get("/ai/status.json").await.json()["needs_key"], false);
        assert_eq!(get("/ai/openapi.json").await.json()["servers"], json!([{"url": "/ai"}]));
        let unknown = get("/ai/nowhere").await.json()["error"].clone();
        assert_eq!(unknown["code"], "unknown_url");
        let said = unknown["message"].as_str().unwrap();
        assert!(said.contains("`/ai/nowhere`") && said.contains(" /ai/v1/responses"), "{said}");
        let wrong = get("/ai/v1/chat/completions").await.json()["error"].clone();
        assert_eq!(wrong["code"], "method_not_allowed");
        assert!(wrong["message"].as_str().unwrap().contains("`/ai/v1/chat/completions`"), "{wrong}");
    }
    assert_eq!(proxy.get("/openapi.json").await.json()["servers"], json!([{"url": "/"}]), "each handle is its own");
}

#[tokio::test]
async fn a_prefix_is_removed_once() {
    let proxy = proxy(Access::open().with_shared_status()).await;
    let at =
        async |router: &Router, path: &str| call(router, http::Request::get(path).body(String::new()).unwrap()).await;
    for router in routers(&proxy.app) {
        // The rule of the server for its metrics must hold for all of their paths.
        let router = router.route("/ai/metrics", get(async || "own"));
        for (path, status) in [("/ai/metrics", 200), ("/ai/ai/metrics", 404), ("/metrics", 404), ("/ai/v1/models", 200)]
        {
            let reply = at(&router, path).await;
            assert_eq!(reply.status.as_u16(), status, "{path}: {}", reply.text);
            assert!(path != "/ai/metrics" || reply.text == "own");
        }
    }
    // A path of the app may be like the prefix.
    let router = Router::new().nest_service("/models", proxy.app.clone().mounted_at("/models"));
    assert_eq!(at(&router, "/models/models").await.json()["object"], "list");
    let whole = Router::new().fallback_service(proxy.app.clone().stripping_prefix("/ai"));
    let outside = at(&whole, "/elsewhere").await.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(outside.contains("`/elsewhere`") && outside.contains(" /ai/v1/responses"), "{outside}");
}

/// The callers of an open server are strangers to each other.
#[tokio::test]
async fn an_open_server_shows_what_is_of_all_callers_only_if_it_is_told_to() {
    for (access, shows) in [(Access::open(), false), (Access::open().with_shared_status(), true)] {
        let proxy = proxy(access).await;
        proxy.sim.control().use_quota(27.5, 40.0);
        let first = proxy.app.answer_as(post(CHAT, full(&ask("hi"))), "first").await;
        assert_eq!(first.headers().keys().any(|name| name.as_str().starts_with("x-codex-primary")), shows);
        read(first).await;
        for path in
            ["/", "/status.json", "/metrics", "/usage", "/v1/usage", "/v1/v1/metrics", "/backend-api/codex/usage"]
        {
            let request = http::Request::get(path).body(String::new()).unwrap();
            let reply = read(proxy.app.answer_as(request, "second").await).await;
            assert_eq!(reply.status.as_u16(), if shows { 200 } else { 404 }, "{path}");
        }
        for path in ["/health", "/health/live", "/v1/models", "/openapi.json"] {
            let request = http::Request::get(path).body(String::new()).unwrap();
            assert_eq!(proxy.app.answer_as(request, "second").await.status(), 200, "{path}");
        }
    }
}

#[tokio::test]
async fn an_embedded_app_names_no_setting_unless_it_is_given_one() {
    let proxy = proxy(Access { keys: "secret".parse().unwrap(), ..Access::default() }).await;
    let advised = Advice { key_setting: Some("the [ai] key".into()), ..Advice::default() };
    for (advice, named) in [(Advice::default(), None), (advised, Some("the [ai] key"))] {
        let app = proxy.app.clone().with_advice(advice);
        for path in ["/v1/models", "/", "/openapi.json"] {
            let said = call(&app, http::Request::get(path).body(String::new()).unwrap()).await.text;
            assert!(named.is_none_or(|named| said.contains(named)), "{said}");
            // The page's examples read the key from a variable of this name.
            assert!(path == "/" || !said.contains("CODEX_PROXY"), "{said}");
            assert!(!said.contains("codex-proxy status"), "{said}");
        }
    }
}

#[tokio::test]
async fn callers_of_different_names_share_nothing() {
    let proxy = proxy(Access::open()).await;
    let app = &proxy.app;
    let question = json!({"model": "gpt-5.1", "input": "My name is Ada."});
    let first = read(app.answer_as(post("/v1/responses", full(&question)), "first").await).await.json();
    let path = format!("/v1/responses/{}", first["id"].as_str().unwrap());
    let look = async |caller: &str| {
        let request = http::Request::get(&path).body(String::new()).unwrap();
        read(app.answer_as(request, caller).await).await.status.as_u16()
    };
    assert_eq!((look("first").await, look("second").await, look("").await), (200, 404, 404));
    let next = json!({"model": "gpt-5.1", "previous_response_id": first["id"], "input": "Who am I?"});
    let foreign = read(app.answer_as(post("/v1/responses", full(&next)), "second").await).await;
    assert_eq!(foreign.json()["error"]["code"], "previous_response_not_found");
    for caller in ["first", "second"] {
        let mut request = post("/v1/responses", full(&question));
        request.extensions_mut().insert(CallerId::from(caller));
        assert_eq!(call(app, request).await.status, 200);
    }
    let turns = proxy.turns();
    let keys: Vec<_> = turns.iter().map(|turn| turn["prompt_cache_key"].as_str().unwrap()).collect();
    assert!(keys[0] == keys[1] && keys[1] != keys[2], "{keys:?}");
}

#[tokio::test]
async fn pages_of_other_origins_cannot_act_as_the_user_of_an_open_server() {
    let proxy = proxy(Access { origins: "https://chat.example".parse().unwrap(), ..Access::open() }).await;
    let host = proxy.base.trim_start_matches("http://");
    let own = format!("http://{host}");
    for (origin, status) in [("https://evil.example", Some(403)), ("https://chat.example", None), (own.as_str(), None)]
    {
        let opened = Client::open(&proxy.base, "/v1/responses", &[("origin", origin)]).await;
        let refused = opened.err().map(|error| {
            let SocketError::Http(response) = error else { panic!("{error}") };
            response.status().as_u16()
        });
        assert_eq!(refused, status, "{origin}");
        let mut request = post(CHAT, full(&ask("hi")));
        for (name, value) in [("origin", origin), ("host", host), ("content-type", "text/plain")] {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let reply = call(&proxy.app, request).await;
        assert_eq!(reply.status.as_u16(), status.unwrap_or(200), "{origin}");
        assert!(status.is_none() || reply.json()["error"]["code"] == "foreign_origin", "{origin}");
    }
}

/// The Codex CLI names its conversations with UUIDs; for users of a server, they are names like any other.
#[tokio::test]
async fn callers_that_name_their_conversations_alike_do_not_share_them() {
    const UUID: &str = "0199a213-81c0-7800-8aa1-bbab2a035a53";
    let open = proxy(Access::open()).await;
    let question = json!({"model": "gpt-5.1", "input": "hi", "prompt_cache_key": UUID});
    for caller in ["first", "second", "first"] {
        assert_eq!(open.app.answer_as(post("/v1/responses", full(&question)), caller).await.status(), 200);
        let mut request = post("/v1/responses", full(&json!({"model": "gpt-5.1", "input": "hi"})));
        request.headers_mut().insert("session_id", UUID.parse().unwrap());
        assert_eq!(open.app.answer_as(request, caller).await.status(), 200);
    }
    let turns = open.turns();
    let keys: Vec<_> = turns.iter().map(|turn| turn["prompt_cache_key"].as_str().unwrap()).collect();
    assert!(!keys.contains(&UUID) && keys[..2] == keys[4..], "{keys:?}");
    assert!(keys[0] != keys[2] && keys[1] != keys[3], "{keys:?}");
    // Without a name, they are those of one person.
    let keyed = proxy(Access { keys: "a\nb".parse().unwrap(), ..Access::default() }).await;
    for key in ["Bearer a", "Bearer b"] {
        let mut request = post("/v1/responses", full(&question));
        request.headers_mut().insert("authorization", key.parse().unwrap());
        assert_eq!(call(&keyed.app, request).await.status, 200);
    }
    assert!(keyed.turns().iter().all(|turn| turn["prompt_cache_key"] == UUID));
}

#[tokio::test]
async fn websockets_open_under_a_path_and_end_after_their_turn() {
    let proxy = proxy(Access::open()).await;
    for router in routers(&proxy.app) {
        // Each socket belongs to a caller.
        let named = map_request(|mut request: Request| async move {
            request.extensions_mut().insert(CallerId::from("first"));
            request
        });
        let (base, _stop, _server) = serve(router.layer(named)).await;
        let mut client = Client::open(&base, "/ai/v1/responses", &[]).await.unwrap();
        let mut question = create("My name is Ada.");
        question["store"] = true.into();
        client.send(&question).await;
        let id = client.turn().await.pop().unwrap()["response"]["id"].as_str().unwrap().to_owned();
        for (caller, status) in [("first", 200), ("second", 404)] {
            let request = http::Request::get(format!("/v1/responses/{id}")).body(String::new()).unwrap();
            assert_eq!(read(proxy.app.answer_as(request, caller).await).await.status.as_u16(), status, "{caller}");
        }
    }

    let [router, _] = routers(&proxy.app);
    let (base, stop, server) = serve(router).await;
    let mut client = Client::open(&base, "/ai/v1/responses", &[]).await.unwrap();
    client.send(&create("[sim:text=one][sim:stall] hi")).await;
    client.until("response.created").await;
    stop.send(()).unwrap();
    server.await.unwrap();
    let ended = async {
        proxy.sim.control().release();
        let completed = client.turn().await.pop().unwrap()["type"] == "response.completed";
        (completed, client.closed().await)
    };
    let ((), ended) = tokio::join!(proxy.app.drain(), ended);
    assert_eq!(ended, (true, Some(CloseCode::Away)));
}

#[tokio::test]
async fn a_service_around_the_app_keeps_its_limits_and_ends_websockets_after_their_turn() {
    let proxy = proxy_with(Access::open(), Limits { connections: 1, ..Limits::default() }).await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    // A service may answer with a body of its own.
    let router = Router::new()
        .fallback_service(proxy.app.clone())
        .layer(map_response(async |response: axum::response::Response| response.map(axum::body::Body::new)));
    let wrapper = service_fn(move |request| router.clone().oneshot(request));
    let server = tokio::spawn(proxy.app.clone().run_service(listener, wrapper, async { drop(stopped.await) }));
    let mut client = Client::open(&base, "/v1/responses", &[]).await.unwrap();
    client.send(&create("[sim:text=one][sim:stall] hi")).await;
    client.until("response.created").await;
    // The WebSocket is a connection, still.
    assert_eq!(call_at(&base, "/health").await.status, 503);
    drop(stop);
    proxy.sim.control().release();
    assert_eq!(client.turn().await.last().unwrap()["type"], "response.completed");
    assert_eq!(client.closed().await, Some(CloseCode::Away));
    drop(client);
    server.await.unwrap();
}
