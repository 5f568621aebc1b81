//! The upstream: handwritten HTTP/1.1, which costs next to nothing, and HTTP/2 over TLS with hyper.

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
pub(crate) enum Play {
    /// The whole reply as fast as the client reads it: as bytes for HTTP/1.1, in pieces for HTTP/2.
    Burst(Bytes, Arc<Vec<Bytes>>),
    /// A delta with a timestamp at regular intervals.
    Paced { deltas: usize, every: Duration },
    /// The reply starts and then stays silent.
    Idle,
}

/// What the upstream currently plays, and the clock of the timestamps.
#[derive(Clone)]
pub(crate) struct Stage {
    play: Arc<Mutex<Play>>,
    pub(crate) epoch: Instant,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self { play: Arc::new(Mutex::new(Play::Idle)), epoch: Instant::now() }
    }

    pub(crate) fn set(&self, play: Play) {
        *self.lock() = play;
    }

    pub(crate) fn play(&self) -> Play {
        self.lock().clone()
    }

    /// Returns a delta with the time it is sent.
    pub(crate) fn stamped(&self, number: usize) -> String {
        let stamp = format!("{STAMP}{:0width$}", self.epoch.elapsed().as_nanos(), width = STAMP_DIGITS);
        reply::delta(number, &stamp)
    }

    fn lock(&self) -> MutexGuard<'_, Play> {
        self.play.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Play {
    pub(crate) fn burst(reply: &Reply) -> Self {
        Self::Burst(reply.chunked(), Arc::new(reply.gathered()))
    }
}

/// Starts the upstream on a free local port and returns the port.
pub(crate) async fn start(stage: &Stage) -> Outcome<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let stage = stage.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let stage = stage.clone();
            tokio::spawn(async move {
                // The subject may close the connection.
                let _ = connection(stream, &stage).await;
            });
        }
    });
    Ok(port)
}

async fn connection(mut stream: TcpStream, stage: &Stage) -> Outcome<()> {
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
        match stage.play() {
            Play::Burst(wire, _) => {
                // A short reply is one write, as with any server.
                if wire.len() < 16 * 1024 {
                    stream.write_all(&[HEAD.as_bytes(), &wire].concat()).await?;
                } else {
                    stream.write_all(HEAD.as_bytes()).await?;
                    stream.write_all(&wire).await?;
                }
            }
            Play::Paced { deltas, every } => paced(&mut stream, stage, deltas, every).await?,
            Play::Idle => {
                let first = reply::head().into_iter().chain([stage.stamped(0)]);
                let wire = first.map(|event| reply::chunk(&event)).collect::<String>();
                stream.write_all(format!("{HEAD}{wire}").as_bytes()).await?;
                // Until the subject closes the connection.
                stream.read_to_end(&mut Vec::new()).await?;
                return Ok(());
            }
        }
    }
}

async fn paced(stream: &mut TcpStream, stage: &Stage, deltas: usize, every: Duration) -> Outcome<()> {
    let head = reply::head().iter().map(|event| reply::chunk(event)).collect::<String>();
    stream.write_all(format!("{HEAD}{head}").as_bytes()).await?;
    let mut ticks = tokio::time::interval(every);
    for number in 0..deltas {
        ticks.tick().await;
        stream.write_all(reply::chunk(&stage.stamped(number)).as_bytes()).await?;
    }
    let tail = reply::tail(deltas, "").iter().map(|event| reply::chunk(event)).collect::<String>();
    stream.write_all(format!("{tail}0\r\n\r\n").as_bytes()).await?;
    Ok(())
}
