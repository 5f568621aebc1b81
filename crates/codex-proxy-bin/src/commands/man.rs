//! `codex-proxy man`: the manual page, from the command line's own information and the table of settings.

use std::fmt::{self, Write as _};
use std::io::Write;
use std::process::ExitCode;

use argh::{ArgsInfo as _, CommandInfoWithArgs, FlagInfoKind};

use crate::cli::args::Args;
use crate::cli::completion::PROGRAM;
use crate::commands::CommandError;
use crate::config::SETTINGS;

/// Prints the manual page in man(7)'s macros.
///
/// # Errors
/// Nothing could be written.
pub fn run(out: &mut impl Write) -> Result<ExitCode, CommandError> {
    out.write_all(page().as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn page() -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_page(&mut text);
    text
}

fn write_page(out: &mut String) -> fmt::Result {
    let program = Args::get_args_info();
    writeln!(out, ".\\\" Made by `codex-proxy man`.")?;
    writeln!(out, ".TH CODEX-PROXY 1")?;
    writeln!(out, ".SH NAME\n{PROGRAM} \\- {}", roff(program.description))?;
    writeln!(out, ".SH SYNOPSIS\n.B {PROGRAM}\n.RI [ options ]\n.I command\n.RI [ options ]")?;
    writeln!(out, ".SH DESCRIPTION\n{}", roff(&program.notes.join(" ")))?;
    writeln!(out, ".SH OPTIONS")?;
    flags(&program, out)?;
    writeln!(out, ".SH COMMANDS")?;
    for inner in &program.commands {
        command(&inner.command, PROGRAM, out)?;
    }
    settings(out)?;
    writeln!(out, ".SH FILES")?;
    for (file, what) in [
        ("~/.codex\\-proxy/config.toml", "The settings."),
        ("~/.codex\\-proxy/credentials.json", "The login, readable by its owner alone."),
        ("~/.codex\\-proxy/service.env", "The key and the settings of the service."),
    ] {
        writeln!(out, ".TP\n.I {file}\n{}", roff(what))?;
    }
    writeln!(out, ".SH EXIT STATUS")?;
    for (code, what) in [
        ("0", "All went well."),
        ("1", "It did not, and a line on standard error says why."),
        ("64", "A command, an option or a setting is wrong."),
    ] {
        writeln!(out, ".TP\n.B {code}\n{}", roff(what))?;
    }
    Ok(())
}

fn command(info: &CommandInfoWithArgs, parent: &str, out: &mut String) -> fmt::Result {
    let name = format!("{parent} {}", info.name);
    writeln!(out, ".SS {}\n{}", roff(&name), roff(&sentence(info.description)))?;
    for note in info.notes {
        writeln!(out, ".PP\n{}", roff(note))?;
    }
    flags(info, out)?;
    if !info.examples.is_empty() {
        writeln!(out, ".PP\nExamples:\n.PP\n.nf")?;
        for example in info.examples {
            writeln!(out, ".RS\n{}\n.RE", roff(&example.replace("{command_name}", &name)))?;
        }
        writeln!(out, ".fi")?;
    }
    info.commands.iter().try_for_each(|inner| command(&inner.command, &name, out))
}

fn flags(info: &CommandInfoWithArgs, out: &mut String) -> fmt::Result {
    for flag in info.flags.iter().filter(|flag| !flag.hidden) {
        let names = flag.short.map(|short| format!("-{short}")).into_iter().chain([flag.long.to_owned()]);
        let names: Vec<_> = names.map(|name| format!("\\fB{}\\fR", roff(&name))).collect();
        let value = match flag.kind {
            FlagInfoKind::Option { arg_name } => format!(" \\fI{}\\fR", roff(arg_name)),
            FlagInfoKind::Switch => String::new(),
        };
        writeln!(out, ".TP\n{}{value}\n{}", names.join(", "), roff(&sentence(flag.description)))?;
    }
    Ok(())
}

fn settings(out: &mut String) -> fmt::Result {
    writeln!(out, ".SH ENVIRONMENT")?;
    let order =
        "A flag comes before the environment, the environment before the file, and the file before the default.";
    writeln!(out, "{order}\nThe name in the file stands in parentheses.")?;
    for setting in SETTINGS {
        let names: Vec<_> = setting.env.iter().map(|name| format!("\\fB{}\\fR", roff(name))).collect();
        let in_file = if setting.in_file { format!(" (\\fB{}\\fR)", roff(setting.name)) } else { String::new() };
        let default = match setting.default {
            "" => String::new(),
            default => format!(" Default: {default}."),
        };
        let about = format!("{} Takes {}.{default}", setting.about, setting.takes());
        writeln!(out, ".TP\n{}{in_file}\n{}", names.join(", "), roff(&about.replace('`', "")))?;
    }
    Ok(())
}

/// A description as argh has it, made a sentence.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}

/// Text in which nothing is a request or an escape, and a hyphen can be copied.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_and_setting_is_in_it() {
        let page = page();
        for name in
            ["codex\\-proxy serve", "codex\\-proxy service install", "CODEX_PROXY_API_KEY", "\\-\\-from\\-codex"]
        {
            assert!(page.contains(name), "{name}");
        }
        assert!(page.lines().all(|line| !line.starts_with('\'') && !line.is_empty()), "{page}");
    }
}
