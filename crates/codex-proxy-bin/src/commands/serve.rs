//! `codex-proxy serve`.

use std::io;
use std::process::ExitCode;

use codex_auth::{AnyStore, CodexCliStore, LoginState, LoginStatus, TokenStore};
use codex_upstream::AnyTimer;

use crate::admission::access::Access;
use crate::admission::advice::Advice;
use crate::app::App;
use crate::cli::args::ServeArgs;
use crate::commands::CommandError;
use crate::config::Config;
use crate::config::runtime::RuntimeConfig;
use crate::credentials::store::OwnStore;
use crate::server::listen::{Address, Listeners};
use crate::server::sd_notify::{self, Phase};
use crate::server::signals::{Signal, Signals};
use crate::simulated::Simulated;

/// Serves until SIGINT or SIGTERM; a second one ends the program at once. SIGHUP reloads the settings.
///
/// # Errors
/// The port is in use, a setting is invalid, or the credentials cannot be read; nothing has been served.
pub(crate) async fn run(config: Config, args: ServeArgs) -> Result<ExitCode, CommandError> {
    if args.simulate && args.from_codex {
        return Err(CommandError::Usage("--simulate uses no account; remove --from-codex".to_owned()));
    }
    #[cfg(unix)]
    crate::server::open_files::raise_limit();
    let listeners = listen(&config).await?;
    warn_of(&config.access);
    if args.simulate {
        let simulated = Simulated::start(config.clone()).await?;
        tracing::info!("using a simulated backend and no account");
        return serve_app(listeners, simulated.app.clone(), &config).await;
    }
    if args.from_codex {
        let store = AnyStore::new(CodexCliStore::new(config.codex_auth_path()?));
        tracing::info!(
            file = %store.location(),
            "using the Codex CLI's login without refreshing it; run the CLI now and then to refresh it"
        );
        return serve_login(listeners, &config, store).await;
    }
    let store = OwnStore::open(&config).map_err(CommandError::other)?;
    serve_login(listeners, &config, AnyStore::new(store)).await
}

async fn serve_login(listeners: Listeners, config: &Config, store: AnyStore) -> Result<ExitCode, CommandError> {
    // Damaged credentials end the program at the start, where the user sees it, not at the first request.
    let tokens = store.load().await.map_err(CommandError::other)?;
    let login = store.login_command();
    let clock = AnyTimer::default();
    match LoginStatus::of(tokens.as_ref(), store.location(), clock.now()).state {
        LoginState::LoggedOut => {
            tracing::warn!("not logged in; run `{login}` (no restart needed)");
        }
        LoginState::Expired(reason) => {
            tracing::warn!("the login has ended ({reason}); run `{login}` (no restart needed)");
        }
        LoginState::Valid | LoginState::Renewable | LoginState::Unreadable | _ => {}
    }
    let app = App::over(config, config.client_builder(store).timer(clock)).map_err(CommandError::other)?;
    serve_app(listeners, app, config).await
}

async fn serve_app(listeners: Listeners, app: App, config: &Config) -> Result<ExitCode, CommandError> {
    let app = app.with_advice(Advice::program());
    let mut signals = Signals::new()?;
    for address in listeners.addresses() {
        tracing::info!("listening on {address}");
    }
    sd_notify::notify(Phase::Ready);
    let stopped = async {
        while signals.next().await == Signal::Reload {
            reload_runtime(&app, config);
        }
        stop(signals);
    };
    tokio::select! {
        () = app.clone().run(listeners, stopped) => {}
        // Never completes.
        () = sd_notify::ping_watchdog() => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Puts the current settings in force. Invalid ones change nothing.
fn reload_runtime(app: &App, config: &Config) {
    sd_notify::notify(Phase::Reloading);
    match config.reloaded() {
        Ok(config) => {
            warn_of(&config.access);
            app.runtime().replace(RuntimeConfig::from_config(&config));
            tracing::info!("reloaded the settings: keys, origins, aliases and limits");
        }
        Err(error) => tracing::error!(%error, "cannot reload the settings; keeping the previous ones"),
    }
    sd_notify::notify(Phase::Ready);
}

/// Watches for a second signal to stop, which ends the process at once, as users expect of Ctrl-C.
fn stop(mut signals: Signals) {
    sd_notify::notify(Phase::Stopping);
    tracing::info!("stopping when open replies have finished (repeat the signal to stop at once)");
    tokio::spawn(async move {
        while signals.next().await != Signal::Stop {}
        std::process::exit(130);
    });
}

fn warn_of(access: &Access) {
    if access.keys.is_empty() {
        tracing::warn!("no API key is set (CODEX_PROXY_API_KEY): serving only programs on this machine");
    }
    if access.keys.has_well_known() {
        tracing::warn!(
            "the key `codex-proxy` is public: accepting it only from this machine, private networks and Tailscale; \
             set CODEX_PROXY_API_KEY to a key of your own"
        );
    }
}

/// Returns the sockets that a service manager has opened; else binds those that the settings name.
async fn listen(config: &Config) -> Result<Listeners, CommandError> {
    let inherited = Listeners::inherited()
        .map_err(|error| CommandError::Other(format!("cannot use the sockets of the service manager: {error}")))?;
    if !inherited.is_empty() {
        return Ok(inherited);
    }
    Listeners::bind(&config.addresses())
        .await
        .map_err(|(address, error)| CommandError::Other(cannot_listen(&address, &error)))
}

fn cannot_listen(address: &Address, error: &io::Error) -> String {
    match (address, error.kind()) {
        (Address::Tcp(host, port), io::ErrorKind::AddrInUse) => format!(
            "port {port} on {host} is in use, perhaps by another codex-proxy; stop that one, or choose a port with -p"
        ),
        (Address::Tcp(_, port), io::ErrorKind::PermissionDenied) => {
            format!("no permission to listen on port {port}; choose one above 1023 with -p")
        }
        (Address::Tcp(..), _) => format!("cannot listen on {address}: {error}; check --host"),
        (Address::Unix(_), io::ErrorKind::AddrInUse) => {
            format!(
                "{address} is in use, perhaps by another codex-proxy; stop that one, or choose another path with --listen"
            )
        }
        (Address::Unix(_), _) => format!("cannot listen on {address}: {error}; choose another path with --listen"),
    }
}
