//! The command line, as argh parses it. No configuration logic: that is in `config`.

use argh::{ArgsInfo, FromArgs};

/// use the Codex models of your own ChatGPT Plus/Pro account through an OpenAI-compatible API
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    note = "Start with `codex-proxy login`, then `codex-proxy serve`. To try it without an account, run `codex-proxy serve \
--simulate`, which uses a simulated backend.",
    example = "{command_name} login",
    example = "{command_name} serve -p 9000",
    example = "{command_name} status",
    example = "{command_name} doctor"
)]
pub(crate) struct Args {
    /// read this configuration file instead of config.toml in the home directory of the proxy
    #[argh(option, arg_name = "file")]
    pub config: Option<String>,

    /// command to run
    #[argh(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub(crate) enum Command {
    /// Logs in.
    Login(LoginArgs),
    /// Logs out.
    Logout(LogoutArgs),
    /// Serves the API.
    Serve(ServeArgs),
    /// Shows the state of the login.
    Status(StatusArgs),
    /// Finds out what is wrong.
    Doctor(DoctorArgs),
    /// Checks whether the proxy responds.
    Health(HealthArgs),
    /// Runs the proxy as a service.
    Service(ServiceArgs),
    /// Shows the settings.
    Config(ConfigArgs),
    /// Prints a shell completion script.
    Completions(CompletionsArgs),
    /// Prints the manual page.
    Man(ManArgs),
    /// Demonstrates the proxy without an account.
    Demo(DemoArgs),
    /// Prints the version.
    Version(VersionArgs),
}

impl Command {
    /// Returns the log level unless `CODEX_PROXY_LOG` sets one. Most commands print everything that matters themselves.
    pub(crate) fn default_log(&self) -> &'static str {
        if matches!(self, Self::Serve(_) | Self::Login(_)) { "info" } else { "warn" }
    }
}

impl Args {
    /// Returns the settings given as flags, by name, as they were written.
    pub(crate) fn settings(&self) -> Vec<(&'static str, &str)> {
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
    note = "The login URL is also printed, so you can open it yourself. If the browser runs on another machine, use \
--no-browser and paste back the URL the browser is redirected to, or use --device.",
    example = "{command_name}",
    example = "{command_name} --no-browser",
    example = "{command_name} --device",
    example = "{command_name} --workspace Acme"
)]
pub(crate) struct LoginArgs {
    /// do not open a browser: print the login URL and read the pasted redirect URL from standard input
    #[argh(switch)]
    pub no_browser: bool,

    /// log in with a code to enter on another device
    #[argh(switch)]
    pub device: bool,

    /// use this workspace (id or name) if the account has several
    #[argh(option)]
    pub workspace: Option<String>,

    /// not supported (prints why the Codex CLI's login cannot be copied)
    #[argh(switch)]
    pub import_codex: bool,
}

/// log out by deleting the login from this machine
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "logout",
    note = "Your other devices stay logged in. --revoke also revokes the login at OpenAI, for every device that shares it.",
    example = "{command_name}",
    example = "{command_name} --revoke",
    example = "{command_name} --revoke --yes"
)]
pub(crate) struct LogoutArgs {
    /// also revoke the login at OpenAI, which can log out other devices
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
    note = "If CODEX_PROXY_API_KEY is set, requests must carry the key, except those for /, /openapi.json, /health, \
/health/live and /health/ready. Without it, only programs on this machine are served. Open the address in a browser for the status page.",
    example = "{command_name}",
    example = "{command_name} --host 127.0.0.1 -p 9000",
    example = "{command_name} --listen unix:/run/user/1000/codex-proxy.sock",
    example = "{command_name} --from-codex",
    example = "{command_name} --simulate"
)]
pub(crate) struct ServeArgs {
    /// address or host name to listen on (default: 0.0.0.0)
    #[argh(option)]
    pub host: Option<String>,

    /// port to listen on; 0 picks a free port (default: 8787)
    #[argh(option, short = 'p')]
    pub port: Option<String>,

    /// listen on these addresses instead (comma-separated): host:port or unix:/path
    #[argh(option)]
    pub listen: Option<String>,

    /// use a simulated backend: no account, no network
    #[argh(switch)]
    pub simulate: bool,

    /// use the Codex CLI's login without ever refreshing it
    #[argh(switch)]
    pub from_codex: bool,

    /// TLS and HTTP/2 fingerprint: chrome, codex or none (default: chrome)
    #[argh(option)]
    pub emulate: Option<String>,

    /// transport to the backend: http, websocket or auto (default: http)
    #[argh(option)]
    pub transport: Option<String>,

    /// log format: text or json (default: text)
    #[argh(option)]
    pub log_format: Option<String>,
}

/// show whether the login is usable; exit with 0 if it is, with 1 if not
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "status",
    note = "Changes nothing and refreshes no token. Queries the quota only while the access token is valid.",
    example = "{command_name}",
    example = "{command_name} --json",
    example = "{command_name} --offline",
    example = "{command_name} --from-codex"
)]
pub(crate) struct StatusArgs {
    /// print JSON
    #[argh(switch)]
    pub json: bool,

    /// do not query the backend for the quota
    #[argh(switch)]
    pub offline: bool,

    /// show the Codex CLI's login
    #[argh(switch)]
    pub from_codex: bool,
}

/// diagnose problems; exit with 1 if there are any
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "doctor",
    note = "Checks files, login, proxy, DNS, TLS, auth server, clock, backend, models and port, and suggests a fix for each \
failure. Refreshes an expired access token, as a request would.",
    example = "{command_name}",
    example = "{command_name} --json",
    example = "{command_name} -p 9000",
    example = "{command_name} --from-codex"
)]
pub(crate) struct DoctorArgs {
    /// print JSON
    #[argh(switch)]
    pub json: bool,

    /// check the Codex CLI's login
    #[argh(switch)]
    pub from_codex: bool,

    /// address or host name that serve would listen on (default: 0.0.0.0)
    #[argh(option)]
    pub host: Option<String>,

    /// port that serve would listen on (default: 8787)
    #[argh(option, short = 'p')]
    pub port: Option<String>,
}

/// check whether a proxy on this machine responds; exit with 0 if it does, with 1 if not
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "health",
    note = "Intended for health checks of containers and service managers.",
    example = "{command_name}",
    example = "{command_name} -p 9000"
)]
pub(crate) struct HealthArgs {
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
    note = "Uses a systemd user unit on Linux and a launchd agent on macOS.",
    example = "{command_name} install",
    example = "{command_name} logs --follow"
)]
pub(crate) struct ServiceArgs {
    /// command to run
    #[argh(subcommand)]
    pub command: ServiceCommand,
}

/// The subcommands of `service`.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub(crate) enum ServiceCommand {
    /// Installs and starts it.
    Install(ServiceInstallArgs),
    /// Stops and removes it.
    Remove(ServiceRemoveArgs),
    /// Shows its state.
    Status(ServiceStatusArgs),
    /// Shows its log.
    Logs(ServiceLogsArgs),
}

/// install and start the service; run it again to change its settings
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "install",
    note = "Generates a random key if none is configured, and shows it once. The settings from flags and environment are saved \
in service.env in the home directory of the proxy; config.toml is read at each start.",
    example = "{command_name}",
    example = "{command_name} --host 127.0.0.1 -p 9000"
)]
pub(crate) struct ServiceInstallArgs {
    /// address or host name to listen on (default: 0.0.0.0)
    #[argh(option)]
    pub host: Option<String>,

    /// port to listen on (default: 8787)
    #[argh(option, short = 'p')]
    pub port: Option<String>,
}

/// stop and remove the service and its key, but not the login
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "remove", example = "{command_name}")]
pub(crate) struct ServiceRemoveArgs {}

/// show the status of the service; exit with 0 if it is running, with 1 if not
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "status", example = "{command_name}")]
pub(crate) struct ServiceStatusArgs {}

/// show the last 100 lines of the service's log
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "logs", example = "{command_name}", example = "{command_name} --follow")]
pub(crate) struct ServiceLogsArgs {
    /// follow the log
    #[argh(switch, short = 'f')]
    pub follow: bool,
}

/// show the settings and where each was set
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "config",
    note = "Flags override environment variables, which override config.toml, which overrides the defaults. \
docs/configuration.md describes every setting.",
    example = "{command_name} show",
    example = "{command_name} show --json",
    example = "{command_name} docs"
)]
pub(crate) struct ConfigArgs {
    /// command to run
    #[argh(subcommand)]
    pub command: ConfigCommand,
}

/// The subcommands of `config`.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub(crate) enum ConfigCommand {
    /// Prints the settings in effect.
    Show(ConfigShowArgs),
    /// Prints the documentation.
    Docs(ConfigDocsArgs),
}

/// print each setting's value and where it was set; keys are masked
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "show", example = "{command_name}", example = "{command_name} --json")]
pub(crate) struct ConfigShowArgs {
    /// print JSON
    #[argh(switch)]
    pub json: bool,
}

/// print the documentation of all settings as Markdown
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "docs", example = "{command_name}")]
pub(crate) struct ConfigDocsArgs {}

/// print a shell completion script
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "completions",
    note = "Bash: add `eval \"$(codex-proxy completions bash)\"` to ~/.bashrc. Zsh: add the same with zsh to ~/.zshrc, after \
compinit. Fish: codex-proxy completions fish > ~/.config/fish/completions/codex-proxy.fish",
    example = "{command_name} bash",
    example = "{command_name} zsh",
    example = "{command_name} fish"
)]
pub(crate) struct CompletionsArgs {
    /// shell to print it for
    #[argh(subcommand)]
    pub command: CompletionsCommand,
}

/// The shells.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub(crate) enum CompletionsCommand {
    /// For bash.
    Bash(CompletionsBashArgs),
    /// For zsh.
    Zsh(CompletionsZshArgs),
    /// For fish.
    Fish(CompletionsFishArgs),
    /// For the scripts themselves.
    Next(CompletionsNextArgs),
}

/// print the script for bash
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "bash", example = "{command_name}")]
pub(crate) struct CompletionsBashArgs {}

/// print the script for zsh
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "zsh", example = "{command_name}")]
pub(crate) struct CompletionsZshArgs {}

/// print the script for fish
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "fish", example = "{command_name}")]
pub(crate) struct CompletionsFishArgs {}

/// print the completions of the last word, one per line, each followed by a tab and its description
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "next", note = "The completion scripts call this.", example = "{command_name} -- serve --po")]
pub(crate) struct CompletionsNextArgs {
    /// words after codex-proxy; the last is the one to complete
    #[argh(positional, greedy)]
    pub words: Vec<String>,
}

/// print the manual page, for `man -l -`
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "man", example = "{command_name} > codex-proxy.1")]
pub(crate) struct ManArgs {}

/// demonstrate the proxy with a simulated backend, then exit
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "demo", example = "{command_name}")]
pub(crate) struct DemoArgs {}

/// print the version
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "version", example = "{command_name}")]
pub(crate) struct VersionArgs {}

#[cfg(test)]
mod tests {
    use argh::CommandInfoWithArgs;

    use super::*;
    use crate::config::{Config, SETTINGS, Setting};

    fn config(words: &[&str]) -> Result<Config, String> {
        let args = Args::from_args(&["codex-proxy"], words).map_err(|exit| exit.output)?;
        let env = [("CODEX_PROXY_HOME", "/does/not/exist")].into_iter().collect();
        Config::from_flags(&args.settings(), &env).map_err(|error| error.to_string())
    }

    #[test]
    fn serve_listens_on_port_8787_by_default() {
        let listens = |words: &[&str]| config(words).map(|config| (config.host, config.port)).unwrap();
        assert_eq!(listens(&["serve"]), ("0.0.0.0".to_owned(), 8787));
        assert_eq!(listens(&["serve", "-p", "9000"]), ("0.0.0.0".to_owned(), 9000));
        assert_eq!(listens(&["serve", "--port", "9000", "--host", "::1"]), ("::1".to_owned(), 9000));
        assert_eq!(listens(&["doctor", "-p", "9000", "--host", "::1"]), ("::1".to_owned(), 9000));
    }

    /// The table of settings is the one place for defaults; the help and the README repeat them.
    #[test]
    fn defaults_are_those_of_the_table_everywhere() {
        help_repeats_defaults(&Args::get_args_info());

        let log = setting("log");
        let level = |command| Args::from_args(&["codex-proxy"], &[command]).unwrap().command.default_log();
        let (serve, status) = (level("serve"), level("status"));
        assert_eq!((level("login"), level("doctor")), (serve, status));
        assert_eq!(log.default_in_words, format!("`{serve}` for `serve` and `login`, otherwise `{status}`"));

        let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
        let mut rows = 0;
        for setting in SETTINGS {
            let Some(name) = setting.env.first().map(|name| format!("`{name}`")) else { continue };
            let is_row = |line: &&str| line.starts_with('|') && line.split('|').nth(1).unwrap().contains(&name);
            let Some(row) = readme.lines().find(is_row) else { continue };
            rows += 1;
            let expected = match (setting.default, setting.default_in_words) {
                ("", "") => "none".to_owned(),
                ("", words) => words.to_owned(),
                (default, _) => format!("`{default}`"),
            };
            assert_eq!(row.split('|').nth(2).unwrap().trim(), expected, "{row}");
        }
        assert!(rows > 5, "README.md has {rows} rows of settings");
        for name in ["max_body_mib", "max_requests", "max_queue", "max_connections"] {
            assert!(readme.replace(',', "").contains(&format!("`{name}` ({})", setting(name).default)), "{name}");
        }
    }

    fn help_repeats_defaults(command: &CommandInfoWithArgs) {
        for flag in command.flags {
            let Some((_, default)) = flag.description.split_once("(default: ") else { continue };
            let setting = SETTINGS.iter().find(|setting| setting.flag == Some(flag.long)).unwrap();
            assert_eq!(default.trim_end_matches(')'), setting.default, "{}", flag.long);
        }
        command.commands.iter().for_each(|inner| help_repeats_defaults(&inner.command));
    }

    fn setting(name: &str) -> &'static Setting {
        SETTINGS.iter().find(|setting| setting.name == name).unwrap()
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
