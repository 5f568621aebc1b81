//! `codex-proxy serve`.

use std::future::Future;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use codex_auth::{CodexFile, LoginState, Status, TokenStore};
use codex_upstream::{Client, ModelCacheConfig, Upstream};
use tokio::net::TcpListener;

use crate::app::App;
use crate::args::ServeArgs;
use crate::commands::CommandError;
use crate::config::Config;
use crate::serve;
use crate::simulate::Simulated;
use crate::store::OwnStore;

/// Serves until SIGINT or SIGTERM; a second one ends the program at once.
///
/// # Errors
/// The port is taken, a setting is wrong, or the credentials cannot be read; nothing has been served.
pub async fn run(config: Config, args: ServeArgs) -> Result<ExitCode, CommandError> {
    if args.simulate && args.from_codex {
        return Err(CommandError::Usage("--simulate uses no account; leave out --from-codex".to_owned()));
    }
    let listener = listen(&config.host, config.port).await?;
    if config.api_key.is_none() {
        tracing::warn!("no key is set (CODEX_PROXY_API_KEY): only programs on this machine are served");
    }
    if args.simulate {
        let simulated = Simulated::start(config).await?;
        tracing::info!("answering from a simulated backend: no account is used");
        return serve_app(listener, Arc::clone(&simulated.app)).await;
    }
    if args.from_codex {
        let store = CodexFile::new(config.codex_auth_path()?);
        tracing::info!(
            file = %store.location(),
            "using the Codex CLI's login; it is only read, so the CLI has to run now and then to renew it"
        );
        return serve_login(listener, &config, store).await;
    }
    serve_login(listener, &config, OwnStore::open(&config).map_err(CommandError::other)?).await
}

async fn serve_login<S: TokenStore>(
    listener: TcpListener,
    config: &Config,
    store: S,
) -> Result<ExitCode, CommandError> {
    // Damaged credentials stop the program here, where somebody looks, and not at the first request.
    let tokens = store.load().map_err(CommandError::other)?;
    let login = store.login_command();
    match Status::of(tokens.as_ref(), store.location(), SystemTime::now()).state {
        LoginState::LoggedOut => {
            tracing::warn!("nobody is logged in; run `{login}` (this server need not be restarted)");
        }
        LoginState::Expired(reason) => {
            tracing::warn!("the login has ended ({reason}); run `{login}` (this server need not be restarted)");
        }
        LoginState::Valid | LoginState::Renewable | LoginState::Unreadable | _ => {}
    }
    let client = Client::new(config.client()).map_err(CommandError::other)?;
    let models = ModelCacheConfig { file: Some(config.catalogue_path()), ..ModelCacheConfig::default() };
    serve_app(listener, Arc::new(App::new(config, client, store, models))).await
}

async fn serve_app<U: Upstream, S: TokenStore>(
    listener: TcpListener,
    app: Arc<App<U, S>>,
) -> Result<ExitCode, CommandError> {
    let address = listener.local_addr()?;
    tracing::info!("listening on http://{address}");
    tokio::select! {
        () = serve::serve(listener, Arc::clone(&app), stop_signal()?) => {}
        // Never completes: it keeps the login of an idle proxy alive.
        () = app.tokens.keep_fresh() => {}
        // Nor does this: requests go by the account's own models, and none waits for them.
        () = app.keep_models_fresh() => {}
        // Nor this: connections between two turns are alive.
        () = app.sockets.keep() => {}
    }
    // A refresh that is under way holds the only copy of a rotated token.
    app.tokens.settle().await;
    Ok(ExitCode::SUCCESS)
}

async fn listen(host: &str, port: u16) -> Result<TcpListener, CommandError> {
    TcpListener::bind((host, port)).await.map_err(|error| {
        let kind = error.kind();
        CommandError::Other(if kind == io::ErrorKind::AddrInUse {
            format!("port {port} on {host} is in use, perhaps by another codex-proxy; stop that one, or choose a port with -p")
        } else if kind == io::ErrorKind::PermissionDenied {
            format!("not allowed to listen on port {port}; choose one above 1023 with -p")
        } else {
            format!("cannot listen on {host}:{port}: {error}; check --host")
        })
    })
}

/// Completes at the first signal to stop. From then on a second one ends the process, as users expect of Ctrl-C.
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut signals = Signals::new()?;
    Ok(async move {
        signals.next().await;
        tracing::info!("stopping; open replies may finish (once more to stop at once)");
        tokio::spawn(async move {
            signals.next().await;
            std::process::exit(130);
        });
    })
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        // Where there is no Ctrl-C there is nothing to wait for.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
