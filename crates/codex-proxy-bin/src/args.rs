//! The command line, as argh reads it. No configuration logic: that is `config`.

use argh::FromArgs;
use codex_upstream::Emulation;

use crate::listen::Address;

/// use the Codex models of your own ChatGPT Plus/Pro account through an OpenAI-compatible API
#[derive(FromArgs, Debug)]
#[argh(
    note = "Start with `codex-proxy login`, then `codex-proxy serve`. Without an account, `codex-proxy serve --simulate` \
answers from a simulated backend.",
    example = "{command_name} login",
    example = "{command_name} serve -p 9000",
    example = "{command_name} status",
    example = "{command_name} doctor"
)]
pub struct Args {
    /// what to do
    #[argh(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(FromArgs, Debug)]
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
    /// Show the proxy at work, without an account.
    Demo(DemoArgs),
    /// Print the version.
    Version(VersionArgs),
}

/// log in to your ChatGPT account in the browser
#[derive(FromArgs, Debug)]
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
#[derive(FromArgs, Debug)]
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
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "serve",
    note = "With CODEX_PROXY_API_KEY set, every request but /health must carry the key. Without it, only programs on this \
machine are served.",
    example = "{command_name}",
    example = "{command_name} --host 127.0.0.1 -p 9000",
    example = "{command_name} --listen unix:/run/user/1000/codex-proxy.sock",
    example = "{command_name} --from-codex",
    example = "{command_name} --simulate"
)]
pub struct ServeArgs {
    /// address or host name to listen on (default: 0.0.0.0)
    #[argh(option, default = "String::from(\"0.0.0.0\")")]
    pub host: String,

    /// port to listen on; 0 takes a free one (default: 8787)
    #[argh(option, short = 'p', default = "8787")]
    pub port: u16,

    /// listen here instead of --host and --port: host:port or unix:/path; may be repeated
    #[argh(option)]
    pub listen: Vec<Address>,

    /// answer from a simulated backend: no account, no network
    #[argh(switch)]
    pub simulate: bool,

    /// use the Codex CLI's login, which is read and never renewed here
    #[argh(switch)]
    pub from_codex: bool,

    /// what TLS and HTTP/2 look like: chrome, codex or none (default: CODEX_PROXY_EMULATE, else chrome)
    #[argh(option)]
    pub emulate: Option<Emulation>,
}

/// show whether the login is usable; exits with 0 if it is, with 1 if not
#[derive(FromArgs, Debug)]
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
#[derive(FromArgs, Debug)]
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
    #[argh(option, default = "String::from(\"0.0.0.0\")")]
    pub host: String,

    /// port that serve would listen on (default: 8787)
    #[argh(option, short = 'p', default = "8787")]
    pub port: u16,
}

/// show the proxy at work over the simulated backend, then exit
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "demo", example = "{command_name}")]
pub struct DemoArgs {}

/// print the version
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "version", example = "{command_name}")]
pub struct VersionArgs {}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(words: &[&str]) -> ServeArgs {
        let Command::Serve(args) = Args::from_args(&["codex-proxy"], words).unwrap().command else {
            panic!("{words:?} is another command");
        };
        args
    }

    #[test]
    fn serve_listens_where_it_always_did() {
        let args = serve(&["serve"]);
        assert_eq!((&*args.host, args.port), ("0.0.0.0", 8787));
        assert_eq!(serve(&["serve", "-p", "9000"]).port, 9000);
        assert_eq!(serve(&["serve", "--emulate", "codex"]).emulate, Some(Emulation::Codex));
        assert_eq!(serve(&["serve", "--port", "9000", "--host", "::1"]).host, "::1");
    }
}
