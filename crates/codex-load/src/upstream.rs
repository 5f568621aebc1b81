//! The upstream: hand-written HTTP/1.1, which costs almost nothing, and HTTP/2 over TLS with hyper.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::reply::{self, Reply, STAMP, STAMP_DIGITS};
use crate::{Outcome, request};

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// The models of the account.
pub(crate) const MODELS: &str = r#"{"models":[{"slug":"gpt-5.5"}]}"#;

/// The reply to every turn.
#[derive(Clone)]
pub(crate) enum ReplyMode {
    /// The whole reply as fast as it is read: its bytes for HTTP/1.1, and its pieces for HTTP/2.
    Burst(Bytes, Arc<Vec<Bytes>>),
    /// A delta with the time in it at each interval.
    Paced { deltas: usize, every: Duration },
    /// The beginning of a reply, and then nothing.
    Idle,
}

/// Controls the reply of the upstream, and has the clock of the timestamps.
#[derive(Clone)]
pub(crate) struct UpstreamControl {
    mode: Arc<Mutex<ReplyMode>>,
    pub(crate) epoch: Instant,
}

impl UpstreamControl {
    pub(crate) fn new() -> Self {
        Self { mode: Arc::new(Mutex::new(ReplyMode::Idle)), epoch: Instant::now() }
    }

    pub(crate) fn set(&self, mode: ReplyMode) {
        *self.lock() = mode;
    }

    pub(crate) fn mode(&self) -> ReplyMode {
        self.lock().clone()
    }

    /// Returns a delta that contains the current time.
    pub(crate) fn stamped(&self, number: usize) -> String {
        let stamp = format!("{STAMP}{:0width$}", self.epoch.elapsed().as_nanos(), width = STAMP_DIGITS);
        reply::delta(number, &stamp)
    }

    fn lock(&self) -> MutexGuard<'_, ReplyMode> {
        self.mode.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReplyMode {
    pub(crate) fn burst(reply: &Reply) -> Self {
        Self::Burst(reply.chunked(), Arc::new(reply.data_frames()))
    }
}

/// Serves on a free port and returns it.
pub(crate) async fn start(control: &UpstreamControl) -> Outcome<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let control = control.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let control = control.clone();
            tokio::spawn(async move {
                // The subject may disconnect.
                let _ = connection(stream, &control).await;
            });
        }
    });
    Ok(port)
}

async fn connection(mut stream: TcpStream, control: &UpstreamControl) -> Outcome<()> {
    stream.set_nodelay(true)?;
    let mut read = Vec::new();
    loop {
        let Some(request) = request::read(&mut stream, &mut read).await? else { return Ok(()) };
        if !request.starts_with(b"POST") {
            let length = MODELS.len();
            let reply = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{MODELS}"
            );
            stream.write_all(reply.as_bytes()).await?;
            continue;
        }
        match control.mode() {
            ReplyMode::Burst(wire, _) => {
                // A short reply is one write, as from any server.
                if wire.len() < 16 * 1024 {
                    stream.write_all(&[HEAD.as_bytes(), &wire].concat()).await?;
                } else {
                    stream.write_all(HEAD.as_bytes()).await?;
                    stream.write_all(&wire).await?;
                }
            }
            ReplyMode::Paced { deltas, every } => paced(&mut stream, control, deltas, every).await?,
            ReplyMode::Idle => {
                let first = reply::head().into_iter().chain([control.stamped(0)]);
                let wire = first.map(|event| reply::chunk(&event)).collect::<String>();
                stream.write_all(format!("{HEAD}{wire}").as_bytes()).await?;
                // Until the peer disconnects.
                stream.read_to_end(&mut Vec::new()).await?;
                return Ok(());
            }
        }
    }
}

async fn paced(stream: &mut TcpStream, control: &UpstreamControl, deltas: usize, every: Duration) -> Outcome<()> {
    let head = reply::head().iter().map(|event| reply::chunk(event)).collect::<String>();
    stream.write_all(format!("{HEAD}{head}").as_bytes()).await?;
    let mut ticks = tokio::time::interval(every);
    for number in 0..deltas {
        ticks.tick().await;
        stream.write_all(reply::chunk(&control.stamped(number)).as_bytes()).await?;
    }
    let tail = reply::tail(deltas, "").iter().map(|event| reply::chunk(event)).collect::<String>();
    stream.write_all(format!("{tail}0\r\n\r\n").as_bytes()).await?;
    Ok(())
}
