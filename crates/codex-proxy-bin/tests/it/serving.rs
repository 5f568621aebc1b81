//! `serve` as a process: signals, sockets and the service manager.
#![cfg(unix)]

use std::os::unix::net::UnixDatagram;
use std::path::Path;

use codex_sim::RecordedRequest;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::process::Command;

use crate::process::{Home, Running, Serving};
use crate::raw::{self, RawReply};
use crate::support::{ask, ask_streaming};

/// Sends a signal by its name.
async fn signal(program: &Running, name: &str) {
    let status = Command::new("kill").args(["-s", name, &program.id().to_string()]).status().await;
    assert!(status.unwrap().success());
}

#[tokio::test]
async fn a_hangup_reloads_the_keys_and_drops_no_stream() {
    let home = Home::new().await;
    home.log_in(codex_sim::Mint::default());
    let keys = home.path().join("keys");
    std::fs::write(&keys, "# laptop\nfirst\n").unwrap();
    let mut command = home.command(&["serve", "--host", "127.0.0.1", "-p", "0"]);
    let mut proxy = Serving::of(Running::of(command.env("CODEX_PROXY_API_KEYS_FILE", &keys))).await;
    let stalled = ask_streaming("[sim:text=Hello][sim:stall] hi").to_string();
    let mut stream = raw::connect(&proxy.url).await;
    let lines = ["host: localhost", "authorization: Bearer first"];
    stream.write_all(raw::request("POST /v1/chat/completions", &lines, &stalled).as_bytes()).await.unwrap();
    while home.sim.requests().iter().all(|request| request.events_sent == 0) {
        tokio::task::yield_now().await;
    }

    std::fs::write(&keys, "second\n").unwrap();
    signal(&proxy.program, "HUP").await;
    proxy.program.line("reloaded the settings").await;
    assert_eq!(proxy.post(Some("first"), &ask("hi")).await.0, 401);
    assert_eq!(proxy.post(Some("second"), &ask("hi")).await.0, 200);

    std::fs::write(&keys, "\n").unwrap();
    signal(&proxy.program, "HUP").await;
    proxy.program.line("keeping the previous ones").await;
    assert_eq!(proxy.post(Some("second"), &ask("hi")).await.0, 200);

    home.sim.control().release();
    assert!(raw::read_to_end(&mut stream).await.contains("[DONE]"));
    assert!(!proxy.program.output.contains("second"), "keys are not logged: {}", proxy.program.output);
}

#[tokio::test]
async fn the_second_signal_ends_the_program_at_once() {
    let home = Home::new().await;
    home.log_in(codex_sim::Mint::default());
    for (turns, name) in [(1, "INT"), (2, "TERM")] {
        let mut proxy = home.serve(&[]).await;
        let mut stream = raw::connect(&proxy.url).await;
        let stalled = ask_streaming("[sim:text=Hello][sim:stall] hi").to_string();
        let request = raw::request("POST /v1/chat/completions", &["host: localhost"], &stalled);
        stream.write_all(request.as_bytes()).await.unwrap();
        let is_turn = |request: &&RecordedRequest| request.path.ends_with("/codex/responses");
        while !home.sim.requests().iter().filter(is_turn).nth(turns - 1).is_some_and(|turn| turn.waiting) {
            tokio::task::yield_now().await;
        }
        signal(&proxy.program, name).await;
        proxy.program.line("stopping when open replies have finished").await;
        signal(&proxy.program, name).await;
        assert_eq!(proxy.program.end().await, Some(130));
    }
}

async fn ask_over(path: &Path, lines: &[&str]) -> RawReply {
    let mut stream = UnixStream::connect(path).await.unwrap();
    let request = raw::request("POST /v1/chat/completions", lines, &ask("hi").to_string());
    stream.write_all(request.as_bytes()).await.unwrap();
    RawReply::parse(&raw::read_to_end(&mut stream).await)
}

#[tokio::test]
async fn a_unix_socket_counts_as_local_and_is_removed_at_the_end() {
    let home = Home::new().await;
    home.log_in(codex_sim::Mint::default());
    let path = home.path().join("proxy.sock");
    let listen = format!("unix:{}", path.display());
    let mut program = home.start(&["serve", "--listen", &format!("{listen},127.0.0.1:0")]);
    program.line(&format!("listening on {listen}")).await;
    let mut proxy = Serving::of(program).await;
    assert_eq!(proxy.post(None, &ask("hi")).await.0, 200, "the other address is served, too");
    assert_eq!(ask_over(&path, &["host: localhost"]).await.status, 200);
    let reply = ask_over(&path, &["host: localhost", "origin: https://evil.example"]).await;
    assert_eq!((reply.status, &*reply.code()), (403, "foreign_origin"));
    home.run(&["serve", "--listen", &listen]).await.expect(1, &["is in use"]);
    proxy.program.stop().await;
    assert_eq!(proxy.program.end().await, Some(0));
    assert!(!path.exists());
}

#[tokio::test]
async fn the_service_manager_is_notified_and_its_sockets_are_used() {
    let home = Home::new().await;
    home.log_in(codex_sim::Mint::default());
    let directory = tempfile::tempdir().unwrap();
    let notify = directory.path().join("notify");
    let manager = UnixDatagram::bind(&notify).unwrap();
    manager.set_read_timeout(Some(crate::process::PATIENCE)).unwrap();
    let manager = std::sync::Arc::new(manager);
    let told = || {
        let manager = std::sync::Arc::clone(&manager);
        async move {
            let receive = move || {
                let mut message = [0; 512];
                let length = manager.recv(&mut message).unwrap();
                String::from_utf8(message[..length].trim_ascii().to_vec()).unwrap()
            };
            tokio::task::spawn_blocking(receive).await.unwrap()
        }
    };
    // systemd passes a socket as file descriptor 3, together with the process id.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let stdin = std::os::fd::OwnedFd::from(listener);
    let script = "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$@\"";
    let program = home.command(&["serve", "-p", "1"]);
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(program.as_std().get_program()).args(program.as_std().get_args());
    command.env_clear().envs(program.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("NOTIFY_SOCKET", &notify).env("WATCHDOG_USEC", "2000000").kill_on_drop(true);
    let mut program = Running::with_stdin(&mut command, stdin.into());
    program.line(&format!("listening on http://127.0.0.1:{port}")).await;
    let mut heard = vec![told().await];
    while !(heard.iter().any(|told| told == "READY=1") && heard.iter().any(|told| told == "WATCHDOG=1")) {
        heard.push(told().await);
    }
    let base = format!("http://127.0.0.1:{port}");
    let request = raw::request("GET /health", &["host: localhost"], "");
    assert_eq!(raw::send(&base, &request).await.status, 200);
    signal(&program, "HUP").await;
    while !told().await.starts_with("RELOADING=1\nMONOTONIC_USEC=") {}
    while told().await != "READY=1" {}
    program.stop().await;
    while told().await != "STOPPING=1" {}
    assert_eq!(program.end().await, Some(0));
}

#[tokio::test]
async fn the_public_key_causes_a_warning() {
    let home = Home::new().await;
    home.log_in(codex_sim::Mint::default());
    let mut command = home.command(&["serve", "--host", "127.0.0.1", "-p", "0"]);
    let mut program = Running::of(command.env("CODEX_PROXY_API_KEY", "codex-proxy\nmine"));
    program.line("the key `codex-proxy` is public").await;
    let proxy = Serving::of(program).await;
    for key in ["codex-proxy", "mine"] {
        assert_eq!(proxy.post(Some(key), &ask("hi")).await.0, 200);
    }
}

#[tokio::test]
async fn servers_that_are_not_the_own_ones_cause_a_warning() {
    let home = Home::new().await;
    home.log_in(codex_sim::Mint::default());
    let serve = |flags: &[&str]| {
        let words = [&["serve", "--host", "127.0.0.1", "-p", "0"], flags].concat();
        Running::of(&mut home.command(&words))
    };
    let mut program = serve(&[]);
    for url in [home.sim.upstream_url(), home.sim.auth_url().to_owned()] {
        assert!(program.line(&url).await.contains(" WARN "));
    }
    // No login is sent to the simulator.
    let mut simulated = serve(&["--simulate"]);
    simulated.line("listening on").await;
    assert!(!simulated.output.contains("_url"), "{}", simulated.output);
}
