//! Runs the programs of the service managers.

use std::ffi::OsStr;
use std::io;
use std::process::{Command, Stdio};

use crate::commands::CommandError;

/// Runs other programs: a seam for tests.
pub(super) trait CommandRunner {
    /// Runs a command to its end and returns its output.
    fn run(&mut self, command: &[&OsStr]) -> io::Result<CommandOutput>;

    /// Runs a command that writes to the terminal itself; returns whether it succeeded.
    fn show(&mut self, command: &[&OsStr]) -> io::Result<bool>;
}

/// The outcome of a command.
#[derive(Clone, Debug, Default)]
pub(super) struct CommandOutput {
    pub(super) is_success: bool,
    /// Its output, both streams.
    pub(super) said: String,
}

/// Runs the real programs.
pub(super) struct SystemRunner;

impl CommandRunner for SystemRunner {
    fn run(&mut self, command: &[&OsStr]) -> io::Result<CommandOutput> {
        let output = process(command)?.stdin(Stdio::null()).output()?;
        let said = [output.stdout, output.stderr].concat();
        Ok(CommandOutput { is_success: output.status.success(), said: String::from_utf8_lossy(&said).into_owned() })
    }

    fn show(&mut self, command: &[&OsStr]) -> io::Result<bool> {
        Ok(process(command)?.status()?.success())
    }
}

fn process(command: &[&OsStr]) -> io::Result<Command> {
    let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut process = Command::new(program);
    process.args(arguments);
    Ok(process)
}

pub(super) fn words<'a>(words: &[&'a str]) -> Vec<&'a OsStr> {
    words.iter().map(|word| OsStr::new(*word)).collect()
}

/// Runs a command that must succeed.
pub(super) fn expect_success(runner: &mut dyn CommandRunner, command: &[&OsStr]) -> Result<String, CommandError> {
    let ran = called(runner, command)?;
    if ran.is_success {
        Ok(ran.said)
    } else {
        Err(CommandError::Other(format!("{} failed: {}", shown(command), ran.said.trim())))
    }
}

/// Runs a command that may fail, but must exist.
pub(super) fn called(runner: &mut dyn CommandRunner, command: &[&OsStr]) -> Result<CommandOutput, CommandError> {
    runner.run(command).map_err(|error| CommandError::Other(format!("cannot run {}: {error}", shown(command))))
}

pub(super) fn shown(command: &[&OsStr]) -> String {
    let words: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}
