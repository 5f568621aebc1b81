//! The program as processes over one home directory and one simulator.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use bytes::Bytes;
use codex_auth::{BlockingStore, FileStore};
use codex_sim::{Mint, Sim};
use codex_upstream::{HttpUpstream, HttpUpstreamConfig, Upstream, read_to_end};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;

use crate::support::backend;

/// How long to wait for a condition; no test measures time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A home directory, and the simulator that the programs in it talk to.
pub(crate) struct Home {
    pub(crate) sim: Sim,
    directory: TempDir,
}

impl Home {
    pub(crate) async fn new() -> Self {
        let home = Self { sim: Sim::start(backend()).await.unwrap(), directory: tempfile::tempdir().unwrap() };
        std::fs::write(home.ca(), home.sim.ca_pem().unwrap()).unwrap();
        home
    }

    /// Returns the file with the simulator's root certificate, which exists only over TLS.
    fn ca(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// Returns a client that trusts the simulator.
    fn client(&self) -> HttpUpstream {
        let extra_roots_pem = self.sim.ca_pem().map(|pem| pem.as_bytes().to_vec()).into_iter().collect();
        HttpUpstream::new(HttpUpstreamConfig { extra_roots_pem, ..HttpUpstreamConfig::default() }).unwrap()
    }

    /// Returns `~/.codex-proxy`, which may not exist.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    pub(crate) fn credentials(&self) -> PathBuf {
        self.path().join("credentials.json")
    }

    pub(crate) fn codex_home(&self) -> PathBuf {
        self.directory.path().join("codex")
    }

    pub(crate) fn store(&self) -> FileStore {
        FileStore::new(self.credentials())
    }

    /// Stores a login, as `login` does.
    pub(crate) fn log_in(&self, mint: Mint) {
        let minted = self.sim.mint_tokens(mint);
        let store = self.store();
        let lock = store.try_lock().unwrap().unwrap();
        store.save(&lock, &crate::support::tokens(minted)).unwrap();
    }

    /// Stores a login of the Codex CLI, and returns its file.
    pub(crate) fn log_in_to_codex(&self, mint: Mint) -> PathBuf {
        let minted = self.sim.mint_tokens(mint);
        std::fs::create_dir_all(self.codex_home()).unwrap();
        let path = self.codex_home().join("auth.json");
        let tokens = json!({"id_token": minted.id_token, "access_token": minted.access_token,
            "refresh_token": minted.refresh_token, "account_id": minted.account_id});
        let file = json!({"auth_mode": "chatgpt", "OPENAI_API_KEY": null, "tokens": tokens});
        std::fs::write(&path, file.to_string()).unwrap();
        path
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_codex-proxy"));
        command
            .args(arguments)
            .env_clear()
            .env("CODEX_PROXY_HOME", self.path())
            .env("CODEX_HOME", self.codex_home())
            .env("CODEX_PROXY_UPSTREAM_URL", self.sim.upstream_url())
            .env("CODEX_PROXY_AUTH_URL", self.sim.auth_url())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if self.ca().exists() {
            command.env("CODEX_PROXY_CA", self.ca());
        }
        command
    }

    /// Runs the program to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).output();
        Ran::of(&tokio::time::timeout(PATIENCE, output).await.unwrap().unwrap())
    }

    /// Opens the authorize page at `address`, presses Approve, and returns where the browser would be sent.
    pub(crate) async fn approve(&self, address: &str) -> String {
        let client = self.client();
        let page = client.send(Request::get(address).body(Bytes::new()).unwrap()).await.unwrap();
        let page = read_to_end(page.into_body(), 1 << 20).await.unwrap();
        let (_, rest) = std::str::from_utf8(&page).unwrap().split_once("name=\"transaction\" value=\"").unwrap();
        let form = format!("transaction={}&decision=approve", rest.split_once('"').unwrap().0);
        let request = Request::post(format!("{}/oauth/authorize", self.sim.auth_url()))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.into());
        let answer = client.send(request.unwrap()).await.unwrap();
        answer.headers()["location"].to_str().unwrap().to_owned()
    }

    /// Returns every file below the directory that the programs write to.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut directories = vec![self.directory.path().to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { directories.push(path) } else { files.push(path) }
            }
        }
        files
    }

    /// Starts a program that keeps running, and whose output is read as it is written.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        Running::of(&mut self.command(arguments))
    }

    /// Starts `serve` on a free port, and waits until it listens.
    pub(crate) async fn serve(&self, arguments: &[&str]) -> Serving {
        let arguments = [&["serve", "--host", "127.0.0.1", "-p", "0"], arguments].concat();
        Serving::of(self.start(&arguments)).await
    }
}

/// Holds the ports of the login's callback until dropped: a second login makes the first one release them.
pub(crate) fn callback_ports() -> File {
    let lock = File::create(std::env::temp_dir().join("codex-proxy-callback-ports.lock")).unwrap();
    lock.lock().unwrap();
    lock
}

/// The outcome of a program that has ended.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Expects an exit code and texts in the output.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, says: &[&str]) {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        for text in says {
            assert!(
                self.stdout.contains(text) || self.stderr.contains(text),
                "{text:?} in: {}{}",
                self.stdout,
                self.stderr
            );
        }
    }
}

/// A running program. Dropping it kills it.
pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
    /// The output read so far, both streams, in lines.
    pub(crate) output: String,
}

impl Running {
    pub(crate) fn of(command: &mut Command) -> Self {
        Self::with_stdin(command, Stdio::piped())
    }

    /// Starts a command as [`Running::of`] does, with the caller's standard input.
    pub(crate) fn with_stdin(command: &mut Command, stdin: Stdio) -> Self {
        let command = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = mpsc::channel(1024);
        read_lines(child.stdout.take().unwrap(), sender.clone());
        read_lines(child.stderr.take().unwrap(), sender);
        Self { stdin: child.stdin.take(), child, lines, output: String::new() }
    }

    /// Reads on to the first line that contains `text`.
    pub(crate) async fn line(&mut self, text: &str) -> String {
        while let Some(line) = self.next().await {
            if line.contains(text) {
                return line;
            }
        }
        panic!("the program ended without saying {text:?}: {}", self.output);
    }

    /// Writes a line to its standard input.
    pub(crate) async fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        stdin.flush().await.unwrap();
    }

    /// Returns the process's id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Stops the program as a service manager would.
    pub(crate) async fn stop(&self) {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").arg(id).status().await.unwrap().success());
    }

    /// Reads to the end and returns the exit code.
    pub(crate) async fn end(&mut self) -> Option<i32> {
        while self.next().await.is_some() {}
        tokio::time::timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap().code()
    }

    async fn next(&mut self) -> Option<String> {
        let line = tokio::time::timeout(PATIENCE, self.lines.recv()).await;
        let line = line.unwrap_or_else(|_| panic!("the program says nothing more: {}", self.output))?;
        self.output.push_str(&line);
        self.output.push('\n');
        Some(line)
    }
}

fn read_lines(pipe: impl AsyncRead + Send + Unpin + 'static, to: mpsc::Sender<String>) {
    tokio::spawn(async move {
        let mut lines = BufReader::new(pipe).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if to.send(line).await.is_err() {
                return;
            }
        }
    });
}

/// A running `serve`, and a client to call it with.
pub(crate) struct Serving {
    pub(crate) program: Running,
    pub(crate) url: String,
    client: HttpUpstream,
}

impl Serving {
    pub(crate) async fn of(mut program: Running) -> Self {
        let line = program.line("listening on http://").await;
        // In JSON there is more on the line.
        let url = line[line.find("http://").unwrap()..].split([' ', '"']).next().unwrap().to_owned();
        Self { program, url, client: HttpUpstream::new(HttpUpstreamConfig::default()).unwrap() }
    }

    pub(crate) async fn post(&self, key: Option<&str>, body: &Value) -> (StatusCode, String) {
        let mut request = Request::post(format!("{}/v1/chat/completions", self.url));
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        self.send(request.header("content-type", "application/json").body(body.to_string().into()).unwrap()).await
    }

    pub(crate) async fn get(&self, key: &str, path: &str) -> (StatusCode, String) {
        let request = Request::get(format!("{}{path}", self.url)).header("x-api-key", key);
        self.send(request.body(Bytes::new()).unwrap()).await
    }

    async fn send(&self, request: Request<Bytes>) -> (StatusCode, String) {
        let (head, stream) = self.client.send(request).await.unwrap().into_parts();
        let body = read_to_end(stream, 1 << 20).await.unwrap();
        (head.status, String::from_utf8(body.to_vec()).unwrap())
    }
}
