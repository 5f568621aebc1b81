//! Stopping: what runs may finish, what is new is turned away.

use crate::support::{Harness, ask_streaming, read_until};

#[tokio::test]
async fn an_open_stream_finishes_after_the_signal_to_stop() {
    let mut proxy = Harness::start().await;
    let body = ask_streaming("[sim:text=Hello there][sim:stall]").to_string();
    let (_, mut stream) = proxy.open(http::Method::POST, "/v1/chat/completions", &[], body).await;
    read_until(&mut stream, "assistant").await;
    proxy.stop.take().unwrap().send(()).unwrap();
    // The listener is gone once a connection is refused; only then is the stream let go on.
    let address = proxy.base.trim_start_matches("http://").to_owned();
    while tokio::net::TcpStream::connect(&address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    proxy.sim.control().release();
    read_until(&mut stream, "[DONE]").await;
    drop(stream);
    (&mut proxy.server).await.unwrap();
}
