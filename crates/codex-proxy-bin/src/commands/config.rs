//! `codex-proxy config`.

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::{Map, json};

use crate::cli::args::{ConfigArgs, ConfigCommand};
use crate::commands::CommandError;
use crate::config::{self, Config, SettingSource};

/// Prints the settings in effect, or the documentation of all settings.
///
/// # Errors
/// The output could not be written.
pub(crate) fn run(config: &Config, args: &ConfigArgs, out: &mut impl Write) -> Result<ExitCode, CommandError> {
    match &args.command {
        ConfigCommand::Show(args) if args.json => json(config, out)?,
        ConfigCommand::Show(_) => text(config, out)?,
        ConfigCommand::Docs(_) => write!(out, "{}", config::markdown())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn text(config: &Config, out: &mut impl Write) -> io::Result<()> {
    let rows: Vec<_> = config.given().iter().map(|given| (given.setting.name, given.shown(), &given.source)).collect();
    let name_width = rows.iter().map(|(name, ..)| name.len()).max().unwrap_or_default();
    for (name, value, source) in rows {
        let value = if value.is_empty() { "-" } else { &value };
        writeln!(out, "{name:name_width$}  {value:24}  {source}")?;
    }
    Ok(())
}

fn json(config: &Config, out: &mut impl Write) -> Result<(), CommandError> {
    let mut settings = Map::new();
    for given in config.given() {
        let shown = given.shown();
        let value = (!shown.is_empty()).then_some(shown);
        let (kind, place) = match &given.source {
            SettingSource::Code => ("code", None),
            SettingSource::Flag(flag) => ("flag", Some(json!(flag))),
            SettingSource::Environment(name) => ("environment", Some(json!(name))),
            SettingSource::File(path, line) => {
                ("file", Some(json!({"path": path.display().to_string(), "line": line})))
            }
            SettingSource::Default => ("default", None),
        };
        let setting = json!({"value": value, "source": kind, "place": place, "reloads": given.setting.reloads});
        settings.insert(given.setting.name.to_owned(), setting);
    }
    writeln!(out, "{}", serde_json::to_string_pretty(&settings)?)?;
    Ok(())
}
