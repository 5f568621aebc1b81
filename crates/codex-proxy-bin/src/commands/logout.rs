//! `codex-proxy logout`.

use std::io::{self, BufRead, IsTerminal as _, Write};
use std::process::ExitCode;

use codex_auth::{HttpTokenEndpoint, TokenStore as _, Tokens};
use codex_upstream::HttpUpstream;

use crate::cli::args::LogoutArgs;
use crate::commands::{CommandError, LOCK_WAIT};
use crate::config::Config;
use crate::credentials::store::OwnStore;

const WARNING: &str = "This revokes the login at OpenAI. Every program and device that shares it, such as a copy of this \
machine's files,\nis logged out, too, and has to log in again.";

/// Deletes the stored credentials; with `--revoke`, revokes the login at the auth server first (docs/backend.md §1.7).
///
/// # Errors
/// The credentials could not be deleted, or `--revoke` was not confirmed; then nothing has changed.
pub(crate) async fn run(config: Config, args: LogoutArgs, out: &mut impl Write) -> Result<ExitCode, CommandError> {
    let store = OwnStore::open(&config).map_err(CommandError::other)?;
    // Damaged credentials are deleted like any others, but contain nothing to revoke.
    if matches!(store.load().await, Ok(None)) {
        writeln!(out, "not logged in: nothing in {}", store.location())?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.revoke && !args.yes {
        if !io::stdin().is_terminal() {
            let message = "--revoke asks for confirmation, but standard input is not a terminal; add --yes";
            return Err(CommandError::Usage(message.to_owned()));
        }
        if !confirmed(&mut io::stdin().lock(), out)? {
            writeln!(out, "nothing was changed; to log out only this machine, run `codex-proxy logout`")?;
            return Ok(ExitCode::FAILURE);
        }
    }
    // A running proxy may be about to refresh the tokens: under the lock, those read here are the newest.
    let lock = codex_auth::wait_for_lock(&store, LOCK_WAIT).await.map_err(CommandError::other)?;
    if args.revoke {
        match store.load().await {
            Ok(Some(tokens)) => revoke(&config, &tokens, out).await?,
            Ok(None) => {}
            Err(error) => writeln!(out, "warning: cannot revoke the login at OpenAI: {error}")?,
        }
    }
    let removed = store.remove(&lock).await.map_err(CommandError::other)?;
    drop(lock);
    if removed {
        writeln!(out, "logged out: deleted from {}", store.location())?;
    } else {
        writeln!(out, "another process has already logged out")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks on the terminal; any answer but yes means no.
fn confirmed(input: &mut impl BufRead, out: &mut impl Write) -> io::Result<bool> {
    write!(out, "{WARNING}\nContinue? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Reports a failure as a warning: the user still wants the credentials deleted from this machine.
async fn revoke(config: &Config, tokens: &Tokens, out: &mut impl Write) -> Result<(), CommandError> {
    let told = match HttpUpstream::new(config.http()) {
        Ok(client) => {
            let endpoint = HttpTokenEndpoint::new(client, config.auth_config());
            endpoint.revoke(tokens).await.map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    match told {
        Ok(()) => writeln!(out, "revoked the login at OpenAI")?,
        Err(error) => writeln!(
            out,
            "warning: cannot revoke the login at OpenAI ({error}); log out at https://chatgpt.com, Settings, Security"
        )?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        let asked = |answer: &str| {
            let mut out = Vec::new();
            let said = confirmed(&mut answer.as_bytes(), &mut out).unwrap();
            assert!(String::from_utf8(out).unwrap().contains(WARNING));
            said
        };
        assert!(asked("y\n") && asked("YES\n"));
        assert!(!asked("\n") && !asked("") && !asked("n\n") && !asked("yep\n"));
    }
}
