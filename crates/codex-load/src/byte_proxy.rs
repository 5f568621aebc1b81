//! The byte proxy: forwards the frames of the impersonating client unchanged.
//!
//! Its cost is that of TLS and HTTP/2 to the backend; the rest of the program's cost is the program's own.

use std::path::Path;

use bytes::Bytes;
use codex_upstream::{HttpUpstream, HttpUpstreamConfig, Upstream as _, UpstreamError};
use futures_util::StreamExt as _;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::Outcome;

/// Serves until it is killed. `upstream` is a URL without a path.
pub(crate) async fn serve(port: u16, upstream: &str, ca: &Path) -> Outcome<()> {
    let config = HttpUpstreamConfig { extra_roots_pem: vec![std::fs::read(ca)?], ..HttpUpstreamConfig::default() };
    let client = HttpUpstream::new(config)?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (client, upstream) = (client.clone(), upstream.to_owned());
        let service = service_fn(move |request| answer(client.clone(), upstream.clone(), request));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(
    client: HttpUpstream,
    upstream: String,
    request: Request<Incoming>,
) -> Outcome<Response<impl http_body::Body<Data = Bytes, Error = UpstreamError>>> {
    let uri = format!("{upstream}{}", request.uri());
    let body = request.into_body().collect().await?.to_bytes();
    let reply = client.send(Request::post(uri).header("content-type", "application/json").body(body)?).await?;
    let frames = reply.into_body().map(|chunk| chunk.map(|chunk| Frame::data(chunk.into_inner())));
    Ok(Response::new(StreamBody::new(frames)))
}
