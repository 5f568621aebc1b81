//! `codex-proxy service`: the proxy as a service of the user's, under systemd or launchd.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::args::{ServiceArgs, ServiceCommand};
use crate::commands::CommandError;
use crate::config::Config;

mod environment;
mod files;
mod launchd;
mod manager;
mod process;
mod systemd;

use environment::Environment;
use files::{remove_file, write_private};
use launchd::Launchd;
use manager::ServiceManager;
use process::{CommandRunner, SystemRunner};
use systemd::Systemd;

/// Installs, removes or shows the service.
///
/// # Errors
/// There is no service manager for the user, or it refused; the message says what it said and what to do instead.
pub fn run(config: &Config, args: &ServiceArgs, out: &mut impl Write) -> Result<ExitCode, CommandError> {
    let mut runner = SystemRunner;
    let program = std::env::current_exe()?;
    if cfg!(target_os = "macos") {
        let service = Launchd::new(config, &mut runner)?;
        Service { config, program, manager: service }.run(&args.command, &mut runner, out)
    } else if cfg!(target_os = "linux") {
        let service = Systemd::new(config)?;
        Service { config, program, manager: service }.run(&args.command, &mut runner, out)
    } else {
        Err(CommandError::Other(
            "there is no service for this operating system; let its own scheduler start `codex-proxy serve` when you log in"
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

    /// Can be run again: what is there is brought up to date, and the key stays.
    fn install(&self, runner: &mut dyn CommandRunner, out: &mut impl Write) -> Result<ExitCode, CommandError> {
        self.manager.expect_running(runner)?;
        let file = Environment::file(self.config);
        let mut environment = Environment::read(&file)?;
        let adopted = environment.adopt(self.config);
        let made = environment.ensure_key(self.config)?;
        // Before the service that reads it, so that it never runs without its key.
        environment.write(&file)?;
        write_private(self.manager.file(), &self.manager.text(&self.program, &environment))?;
        self.manager.start(runner)?;
        writeln!(out, "The service runs, and starts again when you log in: {}", self.manager.file().display())?;
        if !adopted.is_empty() {
            writeln!(out, "Its settings come from {}: {}", file.display(), adopted.join(", "))?;
        }
        let base = format!("http://localhost:{}/v1", self.config.port);
        match made {
            Some(key) => writeln!(
                out,
                "\nIts key, shown this once and kept in {}:\n\n  {}\n\nGive it to your clients with the base URL {base}, as in\n\n  \
                 export OPENAI_BASE_URL={base} OPENAI_API_KEY={}\n",
                file.display(),
                *key,
                *key,
            )?,
            None => writeln!(out, "The key is the one that was set up before. The base URL is {base}")?,
        }
        if let Some(advice) = self.manager.advice(runner) {
            writeln!(out, "{advice}")?;
        }
        writeln!(out, "Next: codex-proxy login, if you have not; codex-proxy service logs shows what it does.")?;
        Ok(ExitCode::SUCCESS)
    }

    fn remove(&self, runner: &mut dyn CommandRunner, out: &mut impl Write) -> Result<ExitCode, CommandError> {
        let environment = Environment::file(self.config);
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
        writeln!(
            out,
            "The service is removed, and its key with it. You are still logged in: codex-proxy logout ends that."
        )?;
        Ok(ExitCode::SUCCESS)
    }

    fn expect_installed(&self) -> Result<(), CommandError> {
        if self.manager.file().exists() {
            return Ok(());
        }
        Err(CommandError::Other("there is no service; `codex-proxy service install` makes one".to_owned()))
    }
}

#[cfg(test)]
mod tests;
