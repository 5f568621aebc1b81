//! `codex-proxy serve`.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use codex_auth::{AnyStore, CodexCliStore, LoginState, LoginStatus, TokenStore};
use codex_upstream::{Client, ModelCacheConfig, Upstream};

use crate::admission::access::Access;
use crate::app::App;
use crate::cli::args::ServeArgs;
use crate::commands::CommandError;
use crate::commands::simulate::Simulated;
use crate::config::Config;
use crate::config::runtime::Terms;
use crate::credentials::store::OwnStore;
use crate::server::listen::{Address, Listeners};
use crate::server::sd_notify::{self, Phase};
use crate::server::serve;
use crate::server::signals::{Signals, Told};
use crate::turn::timer::AnyTimer;

/// Serves until SIGINT or SIGTERM; a second one ends the program at once. SIGHUP has the settings read again.
///
/// # Errors
/// The port is taken, a setting is wrong, or the credentials cannot be read; nothing has been served.
pub async fn run(config: Config, args: ServeArgs) -> Result<ExitCode, CommandError> {
    if args.simulate && args.from_codex {
        return Err(CommandError::Usage("--simulate uses no account; leave out --from-codex".to_owned()));
    }
    #[cfg(unix)]
    crate::server::open_files::raise_limit();
    let listeners = listen(&config).await?;
    warn_of(&config.access);
    if args.simulate {
        let simulated = Simulated::start(config.clone()).await?;
        tracing::info!("answering from a simulated backend: no account is used");
        return serve_app(listeners, Arc::clone(&simulated.app), &config).await;
    }
    if args.from_codex {
        let store = AnyStore::new(CodexCliStore::new(config.codex_auth_path()?));
        tracing::info!(
            file = %store.location(),
            "using the Codex CLI's login; it is only read, so the CLI has to run now and then to renew it"
        );
        return serve_login(listeners, &config, store).await;
    }
    let store = OwnStore::open(&config).map_err(CommandError::other)?;
    serve_login(listeners, &config, AnyStore::new(store)).await
}

async fn serve_login(listeners: Listeners, config: &Config, store: AnyStore) -> Result<ExitCode, CommandError> {
    // Damaged credentials stop the program here, where somebody looks, and not at the first request.
    let tokens = store.load().map_err(CommandError::other)?;
    let login = store.login_command();
    let clock = AnyTimer::default();
    match LoginStatus::of(tokens.as_ref(), store.location(), clock.now()).state {
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
    serve_app(listeners, Arc::new(App::with_clock(config, client, store, models, clock)), config).await
}

async fn serve_app<U: Upstream>(
    listeners: Listeners,
    app: Arc<App<U>>,
    config: &Config,
) -> Result<ExitCode, CommandError> {
    let mut signals = Signals::new()?;
    for address in listeners.addresses() {
        tracing::info!("listening on {address}");
    }
    sd_notify::tell(Phase::Ready);
    let stopped = async {
        while signals.next().await == Told::Reload {
            reload_terms(&app, config);
        }
        stop(signals);
    };
    tokio::select! {
        () = serve::serve(listeners, Arc::clone(&app), stopped) => {}
        // Never completes: it keeps the login of an idle proxy alive.
        () = app.client.tokens.keep_fresh() => {}
        // Nor does this: requests go by the account's own models, and none waits for them.
        () = app.client.keep_models_fresh() => {}
        // Nor this.
        () = sd_notify::keep_watchdog_quiet() => {}
        // Nor this: connections between two turns are alive.
        () = app.client.sockets.keep() => {}
    }
    // A refresh that is under way holds the only copy of a rotated token.
    app.client.tokens.wait_for_refresh().await;
    Ok(ExitCode::SUCCESS)
}

/// Puts the settings as they are now in force. Those that cannot be used change nothing.
fn reload_terms<U: Upstream>(app: &App<U>, config: &Config) {
    sd_notify::tell(Phase::Reloading);
    match config.reloaded() {
        Ok(config) => {
            warn_of(&config.access);
            app.terms.replace(Terms::of(&config));
            tracing::info!("read the settings again: keys, web pages, aliases and limits");
        }
        Err(error) => tracing::error!(%error, "the settings cannot be used; going on with those before"),
    }
    sd_notify::tell(Phase::Ready);
}

/// From the first signal to stop on, a second one ends the process, as users expect of Ctrl-C.
fn stop(mut signals: Signals) {
    sd_notify::tell(Phase::Stopping);
    tracing::info!("stopping; open replies may finish (once more to stop at once)");
    tokio::spawn(async move {
        while signals.next().await != Told::Stop {}
        std::process::exit(130);
    });
}

fn warn_of(access: &Access) {
    if access.keys.is_empty() {
        tracing::warn!("no key is set (CODEX_PROXY_API_KEY): only programs on this machine are served");
    }
    if access.keys.has_well_known() {
        tracing::warn!(
            "the key `codex-proxy` is known to everybody: it counts from this machine, private networks and Tailscale only; \
             set CODEX_PROXY_API_KEY to a key of your own"
        );
    }
}

/// The sockets that a service manager has opened; else those that the settings name.
async fn listen(config: &Config) -> Result<Listeners, CommandError> {
    let inherited = Listeners::inherited()
        .map_err(|error| CommandError::Other(format!("cannot use the sockets of the service manager: {error}")))?;
    if !inherited.is_empty() {
        return Ok(inherited);
    }
    let usual = [Address::Tcp(config.host.clone(), config.port)];
    let addresses = if config.listen.is_empty() { &usual[..] } else { &config.listen };
    Listeners::bind(addresses).await.map_err(|(address, error)| CommandError::Other(cannot_listen(&address, &error)))
}

fn cannot_listen(address: &Address, error: &io::Error) -> String {
    match (address, error.kind()) {
        (Address::Tcp(host, port), io::ErrorKind::AddrInUse) => format!(
            "port {port} on {host} is in use, perhaps by another codex-proxy; stop that one, or choose a port with -p"
        ),
        (Address::Tcp(_, port), io::ErrorKind::PermissionDenied) => {
            format!("not allowed to listen on port {port}; choose one above 1023 with -p")
        }
        (Address::Tcp(..), _) => format!("cannot listen on {address}: {error}; check --host"),
        (Address::Unix(_), io::ErrorKind::AddrInUse) => {
            format!("somebody listens on {address}, perhaps another codex-proxy; stop that one, or choose another path")
        }
        (Address::Unix(_), _) => format!("cannot listen on {address}: {error}; choose another path with --listen"),
    }
}
