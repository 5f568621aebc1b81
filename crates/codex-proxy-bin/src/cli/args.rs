//! The command line, as argh reads it. No configuration logic: that is `config`.

use argh::{ArgsInfo, FromArgs};

/// use the Codex models of your own ChatGPT Plus/Pro account through an OpenAI-compatible API
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    note = "Start with `codex-proxy login`, then `codex-proxy serve`. Without an account, `codex-proxy serve --simulate` \
answers from a simulated backend.",
    example = "{command_name} login",
    example = "{command_name} serve -p 9000",
    example = "{command_name} status",
    example = "{command_name} doctor"
)]
pub struct Args {
    /// configuration file to read instead of config.toml in the home directory of the proxy
    #[argh(option, arg_name = "file")]
    pub config: Option<String>,

    /// what to do
    #[argh(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub enum Command {
    /// Log in.
    Login(LoginArgs),
    /// Log out.
    Logout(LogoutArgs),
    /// Serve the API.
    Serve(ServeArgs),
    /// Show the login's state.
    Status(StatusArgs),
    /// Look for what is wrong.
    Doctor(DoctorArgs),
    /// Ask whether the proxy answers.
    Health(HealthArgs),
    /// Run the proxy as a service.
    Service(ServiceArgs),
    /// Show the settings.
    Config(ConfigArgs),
    /// Print what a shell needs to complete commands.
    Completions(CompletionsArgs),
    /// Print the manual page.
    Man(ManArgs),
    /// Show the proxy at work, without an account.
    Demo(DemoArgs),
    /// Print the version.
    Version(VersionArgs),
}

impl Args {
    /// The settings that the flags give, by name, as they were written.
    pub fn settings(&self) -> Vec<(&'static str, &str)> {
        let mut given = vec![("config", &self.config)];
        match &self.command {
            Command::Serve(args) => {
                given.extend([("host", &args.host), ("port", &args.port)]);
                given.extend([
                    ("listen", &args.listen),
                    ("emulate", &args.emulate),
                    ("transport", &args.transport),
                    ("log_format", &args.log_format),
                ]);
            }
            Command::Doctor(args) => given.extend([("host", &args.host), ("port", &args.port)]),
            Command::Health(args) => given.extend([("host", &args.host), ("port", &args.port)]),
            Command::Service(ServiceArgs { command: ServiceCommand::Install(args) }) => {
                given.extend([("host", &args.host), ("port", &args.port)]);
            }
            Command::Login(_)
            | Command::Logout(_)
            | Command::Status(_)
            | Command::Service(_)
            | Command::Config(_)
            | Command::Completions(_)
            | Command::Man(_)
            | Command::Demo(_)
            | Command::Version(_) => {}
        }
        given.into_iter().filter_map(|(name, text)| Some((name, text.as_deref()?))).collect()
    }
}

/// log in to your ChatGPT account in the browser
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "login",
    note = "The address is printed too, so it can be opened by hand. If the browser runs on another machine, use \
--no-browser and paste the address at which the browser ends up, or --device.",
    example = "{command_name}",
    example = "{command_name} --no-browser",
    example = "{command_name} --device",
    example = "{command_name} --workspace Acme"
)]
pub struct LoginArgs {
    /// open no browser: print the address, and accept the pasted redirect address on standard input
    #[argh(switch)]
    pub no_browser: bool,

    /// log in with a code that you enter on another device
    #[argh(switch)]
    pub device: bool,

    /// workspace to use, by its id or name, if the account has several
    #[argh(option)]
    pub workspace: Option<String>,

    /// refused: the Codex CLI's login cannot be copied; this says why
    #[argh(switch)]
    pub import_codex: bool,
}

/// log out: delete the login from this machine
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "logout",
    note = "Only this machine forgets the login; your other devices stay logged in. --revoke ends the login at OpenAI, for \
every device that shares it.",
    example = "{command_name}",
    example = "{command_name} --revoke",
    example = "{command_name} --revoke --yes"
)]
pub struct LogoutArgs {
    /// also end the login at OpenAI, which can log out other devices
    #[argh(switch)]
    pub revoke: bool,

    /// do not ask for confirmation
    #[argh(switch)]
    pub yes: bool,
}

/// serve the OpenAI-compatible API
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "serve",
    note = "With CODEX_PROXY_API_KEY set, every request but /health must carry the key. Without it, only programs on this \
machine are served. Open the address in a browser to see what is going on.",
    example = "{command_name}",
    example = "{command_name} --host 127.0.0.1 -p 9000",
    example = "{command_name} --listen unix:/run/user/1000/codex-proxy.sock",
    example = "{command_name} --from-codex",
    example = "{command_name} --simulate"
)]
pub struct ServeArgs {
    /// address or host name to listen on (default: 0.0.0.0)
    #[argh(option)]
    pub host: Option<String>,

    /// port to listen on; 0 takes a free one (default: 8787)
    #[argh(option, short = 'p')]
    pub port: Option<String>,

    /// where to listen instead, separated by commas: host:port or unix:/path
    #[argh(option)]
    pub listen: Option<String>,

    /// answer from a simulated backend: no account, no network
    #[argh(switch)]
    pub simulate: bool,

    /// use the Codex CLI's login, which is read and never renewed here
    #[argh(switch)]
    pub from_codex: bool,

    /// what TLS and HTTP/2 look like: chrome, codex or none (default: chrome)
    #[argh(option)]
    pub emulate: Option<String>,

    /// how turns reach the backend: http, websocket or auto (default: http)
    #[argh(option)]
    pub transport: Option<String>,

    /// how the log is written: text or json (default: text)
    #[argh(option)]
    pub log_format: Option<String>,
}

/// show whether the login is usable; exits with 0 if it is, with 1 if not
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "status",
    note = "Nothing is changed and no token is renewed. The plan's quota is asked for while the access token is valid.",
    example = "{command_name}",
    example = "{command_name} --json",
    example = "{command_name} --offline",
    example = "{command_name} --from-codex"
)]
pub struct StatusArgs {
    /// print JSON
    #[argh(switch)]
    pub json: bool,

    /// do not ask the backend for the quota
    #[argh(switch)]
    pub offline: bool,

    /// show the Codex CLI's login
    #[argh(switch)]
    pub from_codex: bool,
}

/// look for what keeps the proxy from working; exits with 1 if anything does
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "doctor",
    note = "Checks files, login, proxy, name lookup, TLS, auth server, clock, backend, models and port, and says what to do \
about each failure. An access token that has ended is renewed, as a request would.",
    example = "{command_name}",
    example = "{command_name} --json",
    example = "{command_name} -p 9000",
    example = "{command_name} --from-codex"
)]
pub struct DoctorArgs {
    /// print JSON
    #[argh(switch)]
    pub json: bool,

    /// examine the Codex CLI's login
    #[argh(switch)]
    pub from_codex: bool,

    /// address or host name that serve would listen on (default: 0.0.0.0)
    #[argh(option)]
    pub host: Option<String>,

    /// port that serve would listen on (default: 8787)
    #[argh(option, short = 'p')]
    pub port: Option<String>,
}

/// ask whether a proxy on this machine answers; exits with 0 if it does, with 1 if not
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "health",
    note = "For the health checks of containers and of service managers.",
    example = "{command_name}",
    example = "{command_name} -p 9000"
)]
pub struct HealthArgs {
    /// address or host name that serve listens on (default: 0.0.0.0)
    #[argh(option)]
    pub host: Option<String>,

    /// port that serve listens on (default: 8787)
    #[argh(option, short = 'p')]
    pub port: Option<String>,
}

/// run the proxy as a service that starts when you log in
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "service",
    note = "A systemd user unit on Linux, a launchd agent on macOS.",
    example = "{command_name} install",
    example = "{command_name} logs --follow"
)]
pub struct ServiceArgs {
    /// what to do
    #[argh(subcommand)]
    pub command: ServiceCommand,
}

/// What there is to do with the service.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub enum ServiceCommand {
    /// Install and start it.
    Install(ServiceInstallArgs),
    /// Stop and remove it.
    Remove(ServiceRemoveArgs),
    /// Show its state.
    Status(ServiceStatusArgs),
    /// Show its log.
    Logs(ServiceLogsArgs),
}

/// install the service and start it; run it again to change it
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "install",
    note = "Makes a random key if none is set up, and shows it once. The service keeps the settings that flags and environment \
say now, in service.env in the home directory of the proxy, and reads config.toml at each start.",
    example = "{command_name}",
    example = "{command_name} --host 127.0.0.1 -p 9000"
)]
pub struct ServiceInstallArgs {
    /// address or host name to listen on (default: 0.0.0.0)
    #[argh(option)]
    pub host: Option<String>,

    /// port to listen on (default: 8787)
    #[argh(option, short = 'p')]
    pub port: Option<String>,
}

/// stop the service and remove it, with its key; the login stays
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "remove", example = "{command_name}")]
pub struct ServiceRemoveArgs {}

/// show what the service manager says of the service; exits with 0 if it runs, with 1 if not
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "status", example = "{command_name}")]
pub struct ServiceStatusArgs {}

/// show the last 100 lines of the log of the service
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "logs", example = "{command_name}", example = "{command_name} --follow")]
pub struct ServiceLogsArgs {
    /// go on as the log grows
    #[argh(switch, short = 'f')]
    pub follow: bool,
}

/// show the settings that hold, and where each was given
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "config",
    note = "A flag comes before the environment, the environment before config.toml, and that before the default. \
docs/configuration.md tells of every setting.",
    example = "{command_name} show",
    example = "{command_name} show --json",
    example = "{command_name} docs"
)]
pub struct ConfigArgs {
    /// what to do
    #[argh(subcommand)]
    pub command: ConfigCommand,
}

/// What there is to do with the settings.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub enum ConfigCommand {
    /// Print what holds.
    Show(ConfigShowArgs),
    /// Print the documentation.
    Docs(ConfigDocsArgs),
}

/// print each setting's value and where it was given; keys are masked
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "show", example = "{command_name}", example = "{command_name} --json")]
pub struct ConfigShowArgs {
    /// print JSON
    #[argh(switch)]
    pub json: bool,
}

/// print the documentation of all settings, as Markdown
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "docs", example = "{command_name}")]
pub struct ConfigDocsArgs {}

/// print what a shell needs to complete commands
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "completions",
    note = "Bash: put `eval \"$(codex-proxy completions bash)\"` into ~/.bashrc. Zsh: the same with zsh into ~/.zshrc, after \
compinit. Fish: codex-proxy completions fish > ~/.config/fish/completions/codex-proxy.fish",
    example = "{command_name} bash",
    example = "{command_name} zsh",
    example = "{command_name} fish"
)]
pub struct CompletionsArgs {
    /// which shell
    #[argh(subcommand)]
    pub command: CompletionsCommand,
}

/// The shells.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub enum CompletionsCommand {
    /// For bash.
    Bash(CompletionsBashArgs),
    /// For zsh.
    Zsh(CompletionsZshArgs),
    /// For fish.
    Fish(CompletionsFishArgs),
    /// For the scripts of the others.
    Next(CompletionsNextArgs),
}

/// print the script for bash
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "bash", example = "{command_name}")]
pub struct CompletionsBashArgs {}

/// print the script for zsh
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "zsh", example = "{command_name}")]
pub struct CompletionsZshArgs {}

/// print the script for fish
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "fish", example = "{command_name}")]
pub struct CompletionsFishArgs {}

/// print what the last of the words can become, one a line, with a tab before what it means
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "next", note = "The scripts call it.", example = "{command_name} -- serve --po")]
pub struct CompletionsNextArgs {
    /// the words after codex-proxy, of which the last is being written
    #[argh(positional, greedy)]
    pub words: Vec<String>,
}

/// print the manual page, for `man -l -`
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "man", example = "{command_name} > codex-proxy.1")]
pub struct ManArgs {}

/// show the proxy at work over the simulated backend, then exit
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "demo", example = "{command_name}")]
pub struct DemoArgs {}

/// print the version
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "version", example = "{command_name}")]
pub struct VersionArgs {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, SETTINGS};

    fn config(words: &[&str]) -> Result<Config, String> {
        let args = Args::from_args(&["codex-proxy"], words).map_err(|exit| exit.output)?;
        let home = |name: &str| (name == "CODEX_PROXY_HOME").then(|| "/does/not/exist".into());
        Config::load(&args.settings(), &home).map_err(|error| error.to_string())
    }

    #[test]
    fn serve_listens_where_it_always_did() {
        let listens = |words: &[&str]| config(words).map(|config| (config.host, config.port)).unwrap();
        assert_eq!(listens(&["serve"]), ("0.0.0.0".to_owned(), 8787));
        assert_eq!(listens(&["serve", "-p", "9000"]), ("0.0.0.0".to_owned(), 9000));
        assert_eq!(listens(&["serve", "--port", "9000", "--host", "::1"]), ("::1".to_owned(), 9000));
        assert_eq!(listens(&["doctor", "-p", "9000", "--host", "::1"]), ("::1".to_owned(), 9000));
    }

    #[test]
    fn every_flag_of_the_table_is_read() {
        for setting in SETTINGS {
            let Some(flag) = setting.flag else { continue };
            // Before the command, or after it.
            let before = Args::from_args(&["codex-proxy"], &[flag, "x", "status"]);
            let args = before.or_else(|_| Args::from_args(&["codex-proxy"], &["serve", flag, "x"])).unwrap();
            assert_eq!(args.settings(), [(setting.name, "x")], "{flag}");
        }
    }
}
