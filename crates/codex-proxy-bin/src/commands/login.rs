//! `codex-proxy login`.

use std::io::{self, BufRead as _, Write};
use std::process::ExitCode;
use std::sync::Arc;

use codex_auth::{Account, Attempt, AuthConfig, DEFAULT_PORTS, DeviceLogin, FileStore, Login, LoginError, SystemClock};
use codex_upstream::Client;
use tokio::sync::mpsc;
use webbrowser::{Browser, BrowserOptions};

use crate::args::LoginArgs;
use crate::commands::CommandError;
use crate::config::Config;
use crate::transport::Transport;

/// Logs in and stores the credentials. Those stored before stay until the new ones are there.
///
/// # Errors
/// The login was denied, failed or could not be stored; the message says which and what to do.
pub async fn run(config: Config, args: LoginArgs, out: &mut impl Write) -> Result<ExitCode, CommandError> {
    let flow = Flow {
        auth: AuthConfig::new(config.auth.clone()),
        http: Transport::new(Arc::new(Client::new(config.client()).map_err(CommandError::other)?)),
        store: FileStore::new(config.credentials_path()),
    };
    let account = if args.device { flow.by_device(out).await? } else { flow.by_browser(!args.no_browser, out).await? };
    writeln!(out, "\nlogged in as {}", account.email.as_deref().unwrap_or("(no e-mail in the tokens)"))?;
    writeln!(out, "credentials are in {}; next: codex-proxy serve", config.credentials_path().display())?;
    Ok(ExitCode::SUCCESS)
}

struct Flow {
    auth: AuthConfig,
    http: Transport<Client>,
    store: FileStore,
}

impl Flow {
    /// Waits for the browser to come back to this machine, or, without one here, for the pasted address.
    async fn by_browser(&self, open: bool, out: &mut impl Write) -> Result<Account, CommandError> {
        let login = Login::bind(&self.auth, &DEFAULT_PORTS).await.map_err(CommandError::other)?;
        let url = login.authorize_url();
        writeln!(out, "To log in, open this address in a browser:\n\n  {url}\n")?;
        if open {
            open_browser(url.to_string());
            writeln!(out, "Waiting for the browser. Is it on another machine? Stop this and use --no-browser.")?;
            out.flush()?;
            return login.complete(&self.http, &self.store, &SystemClock).await.map_err(CommandError::other);
        }
        writeln!(
            out,
            "If the browser runs elsewhere, its last page will not load. Copy that page's address from the browser and"
        )?;
        writeln!(out, "paste it here, then press Enter:")?;
        out.flush()?;
        let attempt = login.attempt().clone();
        let mut lines = lines_of_stdin();
        tokio::select! {
            account = login.complete(&self.http, &self.store, &SystemClock) => account.map_err(CommandError::other),
            account = self.by_paste(&attempt, &mut lines, out) => account,
        }
    }

    /// Asks again as long as what is pasted holds no usable answer.
    async fn by_paste(
        &self,
        attempt: &Attempt,
        lines: &mut mpsc::Receiver<String>,
        out: &mut impl Write,
    ) -> Result<Account, CommandError> {
        while let Some(line) = lines.recv().await {
            if line.trim().is_empty() {
                continue;
            }
            match attempt.complete_pasted(&line, &self.http, &self.store, &SystemClock).await {
                Ok(account) => return Ok(account),
                Err(LoginError::Callback(error)) => {
                    writeln!(out, "{error}; paste the whole address of the last page:")?
                }
                Err(error) => return Err(CommandError::other(error)),
            }
            out.flush()?;
        }
        // Standard input has ended: the browser may still come.
        std::future::pending().await
    }

    async fn by_device(&self, out: &mut impl Write) -> Result<Account, CommandError> {
        let login = DeviceLogin::start(&self.auth, &self.http, &SystemClock).await.map_err(CommandError::other)?;
        writeln!(
            out,
            "On any device, open\n\n  {}\n\nand enter the code  {}\n",
            login.verification_url(),
            login.user_code()
        )?;
        writeln!(out, "Waiting. Never enter a code that somebody else gave you.")?;
        out.flush()?;
        login.complete(&self.http, &self.store, &SystemClock).await.map_err(CommandError::other)
    }
}

/// Opens the browser on a thread of its own: some browsers keep the call until they are closed.
fn open_browser(url: String) {
    std::thread::spawn(move || {
        let options = BrowserOptions::new().with_suppress_output(true).clone();
        if let Err(error) = webbrowser::open_browser_with_options(Browser::Default, &url, &options) {
            tracing::info!(%error, "no browser could be opened; open the address by hand");
        }
    });
}

/// The lines of standard input. The thread that reads them ends with the process: a blocked read cannot be called off.
fn lines_of_stdin() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receiver
}
