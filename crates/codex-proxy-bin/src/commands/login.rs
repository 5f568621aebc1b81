//! `codex-proxy login`.

use std::io::{self, BufRead as _, Write};
use std::process::ExitCode;
use std::time::Duration;

use codex_auth::{
    Account, AuthConfig, AuthorizationRequest, BrowserLogin, CallbackError, DEFAULT_PORTS, DeviceLogin, LoginError,
    MemoryStore, TokenStore,
};
use codex_upstream::{AnyTimer, HttpUpstream, ModelCacheConfig, Workspace, WorkspaceError, Workspaces};
use tokio::sync::mpsc;
use webbrowser::{Browser, BrowserOptions};

use crate::cli::args::LoginArgs;
use crate::cli::session::UserSession;
use crate::commands::{CommandError, LOCK_WAIT, progress};
use crate::config::Config;
use crate::credentials::LOGIN_COMMAND;
use crate::credentials::store::OwnStore;

/// How long the backend may take to list the workspaces.
const LIST_TIMEOUT: Duration = Duration::from_secs(30);

/// The progress message on a terminal. Not used when a URL is to be pasted: then the line is the user's.
const WAITING: &str = "waiting for you to log in";

/// Why there is no import.
const NO_IMPORT: &str = "the Codex CLI's login is not copied: its refresh token works once, so the CLI and codex-proxy would log \
each other out. Run `codex-proxy login` for a login of its own, or `codex-proxy serve --from-codex`, which reads the CLI's \
and never refreshes it";

/// Logs in and stores the credentials. An earlier login stays until the new one is stored.
///
/// # Errors
/// The login was denied, failed or could not be stored; the message says which, and the next step.
pub(crate) async fn run(
    config: Config,
    session: &UserSession,
    args: LoginArgs,
    out: &mut impl Write,
) -> Result<ExitCode, CommandError> {
    if args.import_codex {
        return Err(CommandError::Usage(NO_IMPORT.to_owned()));
    }
    let client = HttpUpstream::new(config.http()).map_err(CommandError::other)?;
    let auth = config.auth_config();
    let flow = LoginFlow { auth, http: client.clone(), no_browser: session.no_browser, clock: AnyTimer::default() };
    let store = OwnStore::open(&config).map_err(CommandError::other)?;
    let account = match &args.workspace {
        None => flow.run(&args, &store, out).await?,
        Some(wanted) => {
            // Checked before the user logs in for nothing.
            codex_auth::check_writable(&store).await.map_err(CommandError::other)?;
            // Nothing is stored until the workspace is known to belong to the account.
            let staged = MemoryStore::default().with_login_command(LOGIN_COMMAND);
            let account = flow.run(&args, &staged, out).await?;
            let workspace = choose(&config, client, &staged, wanted, out).await?;
            keep(&staged, &store, &workspace).await?;
            writeln!(out, "\nworkspace {}", shown(&workspace))?;
            account
        }
    };
    writeln!(out, "\nlogged in as {}", account.email.as_deref().unwrap_or("(unknown e-mail address)"))?;
    writeln!(out, "credentials stored in {}; next: codex-proxy serve", store.location())?;
    Ok(ExitCode::SUCCESS)
}

/// Lists the account's workspaces with the tokens in `staged`, and finds the one that is `wanted`.
async fn choose(
    config: &Config,
    client: HttpUpstream,
    staged: &MemoryStore,
    wanted: &str,
    out: &mut impl Write,
) -> Result<Workspace, CommandError> {
    let client = config.client_builder(staged.clone()).upstream(client).models(ModelCacheConfig::default());
    let client = client.build().map_err(CommandError::other)?;
    let bearer = client.tokens().bearer().await.map_err(CommandError::other)?;
    let listed = tokio::time::timeout(LIST_TIMEOUT, client.workspaces(&bearer)).await;
    let unlisted = |why: String| {
        CommandError::Other(format!("cannot list the workspaces ({why}); the previous login is unchanged"))
    };
    let workspaces = listed
        .map_err(|_| unlisted(format!("the backend did not respond within {} s", LIST_TIMEOUT.as_secs())))?
        .map_err(|error| unlisted(error.to_string()))?;
    match workspaces.choose(wanted) {
        Ok(workspace) => Ok(workspace.clone()),
        Err(error) => {
            list(&workspaces, out)?;
            Err(refused(&error))
        }
    }
}

fn refused(error: &WorkspaceError) -> CommandError {
    CommandError::Other(format!("{error}; the previous login is unchanged"))
}

fn list(workspaces: &Workspaces, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\nThe account's workspaces:")?;
    for workspace in &workspaces.all {
        writeln!(out, "  {}", shown(workspace))?;
    }
    Ok(())
}

fn shown(workspace: &Workspace) -> String {
    let name = workspace.name.as_deref().unwrap_or("(no name)");
    let plan = workspace.plan.as_deref().unwrap_or("unknown plan");
    let state = if workspace.is_deactivated { ", deactivated" } else { "" };
    format!("{name} ({}; {plan}{state})", workspace.id)
}

/// Moves the login to the store, as the workspace.
async fn keep(staged: &MemoryStore, store: &OwnStore, workspace: &Workspace) -> Result<(), CommandError> {
    let mut tokens =
        staged.tokens().ok_or_else(|| CommandError::other("the login returned no tokens; log in again"))?;
    tokens.account_id = Some(workspace.id.clone());
    let lock = codex_auth::wait_for_lock(store, LOCK_WAIT).await.map_err(CommandError::other)?;
    store.save(&lock, &tokens).await.map_err(CommandError::other)
}

struct LoginFlow {
    auth: AuthConfig,
    http: HttpUpstream,
    no_browser: Option<&'static str>,
    clock: AnyTimer,
}

impl LoginFlow {
    async fn run<S: TokenStore>(
        &self,
        args: &LoginArgs,
        store: &S,
        out: &mut impl Write,
    ) -> Result<Account, CommandError> {
        if args.device {
            return self.by_device(store, out).await;
        }
        match self.no_browser.filter(|_| !args.no_browser) {
            Some(why) => {
                writeln!(
                    out,
                    "Not opening a browser: {why}. `codex-proxy login --device` logs in with a code instead.\n"
                )?;
                self.by_browser(false, store, out).await
            }
            None => self.by_browser(!args.no_browser, store, out).await,
        }
    }

    /// Waits for the browser to return to this machine, or, without a browser here, for the pasted URL.
    async fn by_browser<S: TokenStore>(
        &self,
        open: bool,
        store: &S,
        out: &mut impl Write,
    ) -> Result<Account, CommandError> {
        let login = BrowserLogin::bind(&self.auth, &DEFAULT_PORTS).await.map_err(CommandError::other)?;
        let login = login.with_program_name("codex-proxy");
        let url = login.authorize_url();
        writeln!(out, "To log in, open this URL in a browser:\n\n  {url}\n")?;
        if open {
            open_browser(url.to_string());
            writeln!(
                out,
                "Waiting for the browser. If it runs on another machine, stop this command and use --no-browser."
            )?;
            out.flush()?;
            let completed = login.complete(&self.http, store, &self.clock);
            return progress::during(WAITING, progress::terminal(), completed).await.map_err(CommandError::other);
        }
        writeln!(
            out,
            "If the browser runs on another machine, its last page will not load. Copy the URL of that page and"
        )?;
        writeln!(out, "paste it here, then press Enter:")?;
        out.flush()?;
        let attempt = login.request().clone();
        let mut lines = lines_of_stdin();
        tokio::select! {
            account = login.complete(&self.http, store, &self.clock) => account.map_err(CommandError::other),
            account = self.by_paste(&attempt, &mut lines, store, out) => account,
        }
    }

    /// Asks again until the pasted text is a redirect URL. One that denies the login ends it.
    async fn by_paste<S: TokenStore>(
        &self,
        attempt: &AuthorizationRequest,
        lines: &mut mpsc::Receiver<String>,
        store: &S,
        out: &mut impl Write,
    ) -> Result<Account, CommandError> {
        while let Some(line) = lines.recv().await {
            if line.trim().is_empty() {
                continue;
            }
            match attempt.complete_pasted(&line, &self.http, store, &self.clock).await {
                Ok(account) => return Ok(account),
                Err(LoginError::Callback(error @ (CallbackError::StateMismatch | CallbackError::MissingCode))) => {
                    writeln!(out, "{error}; paste the full URL of the last page:")?;
                }
                Err(error) => return Err(CommandError::other(error)),
            }
            out.flush()?;
        }
        // Standard input has ended, but the browser may still return.
        std::future::pending().await
    }

    async fn by_device<S: TokenStore>(&self, store: &S, out: &mut impl Write) -> Result<Account, CommandError> {
        let login = DeviceLogin::start(&self.auth, &self.http, &self.clock).await.map_err(CommandError::other)?;
        writeln!(
            out,
            "On any device, open\n\n  {}\n\nand enter the code  {}\n",
            login.verification_url(),
            login.user_code()
        )?;
        writeln!(out, "Waiting. Never enter a code that someone else gave you.")?;
        out.flush()?;
        let completed = login.complete(&self.http, store, &self.clock);
        progress::during(WAITING, progress::terminal(), completed).await.map_err(CommandError::other)
    }
}

/// Opens the browser on its own thread: some browsers block until they are closed.
fn open_browser(url: String) {
    std::thread::spawn(move || {
        let options = BrowserOptions::new().with_suppress_output(true).clone();
        if let Err(error) = webbrowser::open_browser_with_options(Browser::Default, &url, &options) {
            tracing::info!(%error, "cannot open a browser; open the URL yourself");
        }
    });
}

/// Returns the lines of standard input. The thread that reads them ends with the process: a blocked read cannot be
/// cancelled.
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
