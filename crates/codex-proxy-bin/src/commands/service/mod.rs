//! `codex-proxy service`: runs the proxy as a service of the user, under systemd or launchd.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::args::{ServiceArgs, ServiceCommand};
use crate::cli::session::UserSession;
use crate::commands::CommandError;
use crate::config::Config;

mod environment;
mod files;
mod launchd;
mod manager;
mod process;
mod systemd;

use environment::ServiceEnvironment;
use files::{remove_file, write_private};
use launchd::Launchd;
use manager::ServiceManager;
use process::{CommandRunner, SystemRunner};
use systemd::Systemd;

/// Installs, removes or shows the service.
///
/// # Errors
/// There is no service manager for the user, or it failed; the message contains its output and the next step.
pub(crate) fn run(
    config: &Config,
    session: &UserSession,
    args: &ServiceArgs,
    out: &mut impl Write,
) -> Result<ExitCode, CommandError> {
    let mut runner = SystemRunner;
    let program = std::env::current_exe()?;
    if cfg!(target_os = "macos") {
        let service = Launchd::new(session, &mut runner)?;
        Service { config, program, manager: service }.run(&args.command, &mut runner, out)
    } else if cfg!(target_os = "linux") {
        let service = Systemd::new(config, session)?;
        Service { config, program, manager: service }.run(&args.command, &mut runner, out)
    } else {
        Err(CommandError::Other(
            "services are not supported on this operating system; configure its scheduler to start `codex-proxy serve` when you log in"
                .to_owned(),
        ))
    }
}

struct Service<'a, M> {
    config: &'a Config,
    program: PathBuf,
    manager: M,
}

impl<M: ServiceManager> Service<'_, M> {
    fn run(
        &self,
        command: &ServiceCommand,
        runner: &mut dyn CommandRunner,
        out: &mut impl Write,
    ) -> Result<ExitCode, CommandError> {
        match command {
            ServiceCommand::Install(_) => self.install(runner, out),
            ServiceCommand::Remove(_) => self.remove(runner, out),
            ServiceCommand::Status(_) => {
                self.expect_installed()?;
                Ok(if self.manager.show(runner)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
            ServiceCommand::Logs(args) => {
                self.expect_installed()?;
                self.manager.log(args.follow, runner)?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }

    /// Installs the service, or updates an existing one, which keeps its key.
    fn install(&self, runner: &mut dyn CommandRunner, out: &mut impl Write) -> Result<ExitCode, CommandError> {
        self.manager.expect_running(runner)?;
        let file = ServiceEnvironment::file(self.config)?;
        let mut environment = ServiceEnvironment::read(&file)?;
        let adopted = environment.adopt(self.config);
        let made = environment.ensure_key(self.config)?;
        // Written before the service starts, so that it never runs without its key.
        environment.write(&file)?;
        write_private(self.manager.file(), &self.manager.text(&self.program, &environment))?;
        self.manager.start(runner)?;
        writeln!(out, "The service is running, and starts when you log in: {}", self.manager.file().display())?;
        if !adopted.is_empty() {
            writeln!(out, "Its settings come from {}: {}", file.display(), adopted.join(", "))?;
        }
        let base = format!("http://localhost:{}/v1", self.config.port);
        match made {
            Some(key) => writeln!(
                out,
                "\nIts key, shown only once and stored in {}:\n\n  {}\n\nConfigure your clients with the key and the base URL {base}, \
                 for example:\n\n  \
                 export OPENAI_BASE_URL={base} OPENAI_API_KEY={}\n",
                file.display(),
                *key,
                *key,
            )?,
            None => writeln!(out, "The key is unchanged. The base URL is {base}")?,
        }
        if let Some(advice) = self.manager.advice(runner) {
            writeln!(out, "{advice}")?;
        }
        writeln!(
            out,
            "Next: run codex-proxy login if you have not logged in yet. codex-proxy service logs shows the log."
        )?;
        Ok(ExitCode::SUCCESS)
    }

    fn remove(&self, runner: &mut dyn CommandRunner, out: &mut impl Write) -> Result<ExitCode, CommandError> {
        let environment = ServiceEnvironment::file(self.config)?;
        if !self.manager.file().exists() && !environment.exists() {
            writeln!(out, "There is no service to remove.")?;
            return Ok(ExitCode::SUCCESS);
        }
        self.manager.expect_running(runner)?;
        if self.manager.file().exists() {
            self.manager.stop(runner)?;
            remove_file(self.manager.file())?;
            self.manager.forget(runner)?;
        }
        remove_file(&environment)?;
        writeln!(out, "Removed the service and its key. You are still logged in; codex-proxy logout logs you out.")?;
        Ok(ExitCode::SUCCESS)
    }

    fn expect_installed(&self) -> Result<(), CommandError> {
        if self.manager.file().exists() {
            return Ok(());
        }
        Err(CommandError::Other("the service is not installed; run `codex-proxy service install`".to_owned()))
    }
}

#[cfg(test)]
mod tests;
