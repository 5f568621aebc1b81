//! `codex-proxy service`: the proxy as a service of the user's, under systemd or launchd.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use crate::cli::args::{ServiceArgs, ServiceCommand};
use crate::commands::CommandError;
use crate::config::Config;

mod environment;
mod launchd;
mod systemd;

use environment::Environment;

/// Installs, removes or shows the service.
///
/// # Errors
/// There is no service manager for the user, or it refused; the message says what it said and what to do instead.
pub fn run(config: &Config, args: &ServiceArgs, out: &mut impl Write) -> Result<ExitCode, CommandError> {
    let mut calls = System;
    let program = std::env::current_exe()?;
    if cfg!(target_os = "macos") {
        let service = launchd::Launchd::new(config, &mut calls)?;
        Service { config, program, manager: service }.run(&args.command, &mut calls, out)
    } else if cfg!(target_os = "linux") {
        let service = systemd::Systemd::new(config)?;
        Service { config, program, manager: service }.run(&args.command, &mut calls, out)
    } else {
        Err(CommandError::Other(
            "there is no service for this operating system; let its own scheduler start `codex-proxy serve` when you log in"
                .to_owned(),
        ))
    }
}

/// What runs services for a user. Files are written by [`Service`]; everything else goes through [`Calls`].
trait Manager {
    /// The file that describes the service.
    fn file(&self) -> &Path;

    /// What that file holds.
    fn text(&self, program: &Path, environment: &Environment) -> String;

    /// Refuses where the manager does not run.
    fn expect_running(&self, calls: &mut dyn Calls) -> Result<(), CommandError>;

    /// Starts the service as the file now has it, and at each login from now on.
    fn start(&self, calls: &mut dyn Calls) -> Result<(), CommandError>;

    /// Ends the service if it runs, and does not start it any more. The file is still there.
    fn stop(&self, calls: &mut dyn Calls) -> Result<(), CommandError>;

    /// Has the manager forget the file, which is gone.
    fn forget(&self, calls: &mut dyn Calls) -> Result<(), CommandError>;

    /// Shows the state to the user; whether it runs.
    fn show(&self, calls: &mut dyn Calls) -> Result<bool, CommandError>;

    /// Shows the log to the user, and goes on if that is wanted.
    fn log(&self, follow: bool, calls: &mut dyn Calls) -> Result<(), CommandError>;

    /// What else the user may want to do.
    fn advice(&self, calls: &mut dyn Calls) -> Option<String>;
}

/// The calls of other programs: a seam, so that tests see them.
trait Calls {
    /// Runs a command to its end and returns what it printed.
    fn run(&mut self, command: &[&OsStr]) -> io::Result<Ran>;

    /// Runs a command that speaks to the user itself; whether it succeeded.
    fn show(&mut self, command: &[&OsStr]) -> io::Result<bool>;
}

/// How a command ended.
#[derive(Clone, Debug, Default)]
struct Ran {
    is_success: bool,
    /// What it printed, both streams.
    said: String,
}

struct Service<'a, M> {
    config: &'a Config,
    program: PathBuf,
    manager: M,
}

impl<M: Manager> Service<'_, M> {
    fn run(
        &self,
        command: &ServiceCommand,
        calls: &mut dyn Calls,
        out: &mut impl Write,
    ) -> Result<ExitCode, CommandError> {
        match command {
            ServiceCommand::Install(_) => self.install(calls, out),
            ServiceCommand::Remove(_) => self.remove(calls, out),
            ServiceCommand::Status(_) => {
                self.expect_installed()?;
                Ok(if self.manager.show(calls)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
            ServiceCommand::Logs(args) => {
                self.expect_installed()?;
                self.manager.log(args.follow, calls)?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }

    /// Can be run again: what is there is brought up to date, and the key stays.
    fn install(&self, calls: &mut dyn Calls, out: &mut impl Write) -> Result<ExitCode, CommandError> {
        self.manager.expect_running(calls)?;
        let file = Environment::file(self.config);
        let mut environment = Environment::read(&file)?;
        let adopted = environment.adopt(self.config);
        let made = environment.ensure_key(self.config)?;
        // Before the service that reads it, so that it never runs without its key.
        environment.write(&file)?;
        write_private(self.manager.file(), &self.manager.text(&self.program, &environment))?;
        self.manager.start(calls)?;
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
        if let Some(advice) = self.manager.advice(calls) {
            writeln!(out, "{advice}")?;
        }
        writeln!(out, "Next: codex-proxy login, if you have not; codex-proxy service logs shows what it does.")?;
        Ok(ExitCode::SUCCESS)
    }

    fn remove(&self, calls: &mut dyn Calls, out: &mut impl Write) -> Result<ExitCode, CommandError> {
        let environment = Environment::file(self.config);
        if !self.manager.file().exists() && !environment.exists() {
            writeln!(out, "There is no service to remove.")?;
            return Ok(ExitCode::SUCCESS);
        }
        self.manager.expect_running(calls)?;
        if self.manager.file().exists() {
            self.manager.stop(calls)?;
            remove_file(self.manager.file())?;
            self.manager.forget(calls)?;
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

fn words<'a>(words: &[&'a str]) -> Vec<&'a OsStr> {
    words.iter().map(|word| OsStr::new(*word)).collect()
}

/// Runs a command that has to succeed.
fn must(calls: &mut dyn Calls, command: &[&OsStr]) -> Result<String, CommandError> {
    let ran = called(calls, command)?;
    if ran.is_success {
        Ok(ran.said)
    } else {
        Err(CommandError::Other(format!("{} failed: {}", shown(command), ran.said.trim())))
    }
}

/// Runs a command that may fail, but has to be there.
fn called(calls: &mut dyn Calls, command: &[&OsStr]) -> Result<Ran, CommandError> {
    calls.run(command).map_err(|error| CommandError::Other(format!("cannot run {}: {error}", shown(command))))
}

fn shown(command: &[&OsStr]) -> String {
    let words: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

/// Writes a file that its owner alone can read, whole or not at all.
fn write_private(path: &Path, text: &str) -> Result<(), CommandError> {
    let failed = |error: io::Error| CommandError::Other(format!("cannot write {} ({error})", path.display()));
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(failed)?;
    }
    let new = path.with_extension("new");
    // What a killed process left may have another mode.
    remove_file(&new)?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&new).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&new, path).map_err(failed)
}

fn remove_file(path: &Path) -> Result<(), CommandError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(CommandError::Other(format!("cannot remove {} ({error})", path.display())))
        }
        _ => Ok(()),
    }
}

/// The real programs.
struct System;

impl Calls for System {
    fn run(&mut self, command: &[&OsStr]) -> io::Result<Ran> {
        let output = process(command)?.stdin(Stdio::null()).output()?;
        let said = [output.stdout, output.stderr].concat();
        Ok(Ran { is_success: output.status.success(), said: String::from_utf8_lossy(&said).into_owned() })
    }

    fn show(&mut self, command: &[&OsStr]) -> io::Result<bool> {
        Ok(process(command)?.status()?.success())
    }
}

fn process(command: &[&OsStr]) -> io::Result<std::process::Command> {
    let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut process = std::process::Command::new(program);
    process.args(arguments);
    Ok(process)
}

#[cfg(test)]
mod tests;
