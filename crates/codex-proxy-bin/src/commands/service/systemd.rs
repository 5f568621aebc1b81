//! systemd's user manager.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::commands::CommandError;
use crate::commands::service::environment::Environment;
use crate::commands::service::manager::ServiceManager;
use crate::commands::service::process::{CommandRunner, called, expect_success, words};
use crate::config::Config;

const UNIT: &str = "codex-proxy.service";

pub(super) struct Systemd {
    file: PathBuf,
    environment: PathBuf,
}

impl Systemd {
    pub(super) fn new(config: &Config) -> Result<Self, CommandError> {
        let directory = config.user_config.as_ref().ok_or_else(|| {
            CommandError::Other(
                "there is no home directory (HOME is not set), so no place for a user's service".to_owned(),
            )
        })?;
        Ok(Self { file: directory.join("systemd/user").join(UNIT), environment: Environment::file(config) })
    }
}

impl ServiceManager for Systemd {
    fn file(&self) -> &Path {
        &self.file
    }

    fn text(&self, program: &Path, _: &Environment) -> String {
        unit(program, &self.environment)
    }

    fn expect_running(&self, runner: &mut dyn CommandRunner) -> Result<(), CommandError> {
        let said = match runner.run(&systemctl(&["show-environment"])) {
            Ok(ran) if ran.is_success => return Ok(()),
            Ok(ran) => ran.said.lines().next().unwrap_or("it said nothing").trim().to_owned(),
            Err(error) => format!("systemctl: {error}"),
        };
        Err(CommandError::Other(format!(
            "systemd does not run for this user ({said}); start `codex-proxy serve` by what runs services here, or see \
             contrib/ for Docker and for a system-wide unit"
        )))
    }

    fn start(&self, runner: &mut dyn CommandRunner) -> Result<(), CommandError> {
        expect_success(runner, &systemctl(&["daemon-reload"]))?;
        expect_success(runner, &systemctl(&["enable", UNIT]))?;
        expect_success(runner, &systemctl(&["restart", UNIT]))?;
        Ok(())
    }

    fn stop(&self, runner: &mut dyn CommandRunner) -> Result<(), CommandError> {
        expect_success(runner, &systemctl(&["disable", "--now", UNIT])).map(drop)
    }

    fn forget(&self, runner: &mut dyn CommandRunner) -> Result<(), CommandError> {
        expect_success(runner, &systemctl(&["daemon-reload"])).map(drop)
    }

    fn show(&self, runner: &mut dyn CommandRunner) -> Result<bool, CommandError> {
        runner.show(&systemctl(&["status", "--no-pager", UNIT])).map_err(CommandError::other)
    }

    fn log(&self, follow: bool, runner: &mut dyn CommandRunner) -> Result<(), CommandError> {
        let mut command = words(&["journalctl", "--user", "--unit", UNIT, "--lines", "100"]);
        command.extend(words(if follow { &["--follow"] } else { &["--no-pager"] }));
        runner.show(&command).map(drop).map_err(CommandError::other)
    }

    fn advice(&self, runner: &mut dyn CommandRunner) -> Option<String> {
        let linger = called(runner, &words(&["loginctl", "show-user", "--property=Linger"])).ok()?;
        let is_on = linger.is_success && linger.said.contains("Linger=yes");
        (!is_on).then(|| "It ends when you log out. To keep it: loginctl enable-linger".to_owned())
    }
}

fn systemctl<'a>(arguments: &[&'a str]) -> Vec<&'a OsStr> {
    let mut command = words(&["systemctl", "--user"]);
    command.extend(words(arguments));
    command
}

/// The unit. Of systemd's sandboxes it has those that need no namespaces, which many systems do not allow to users.
pub(super) fn unit(program: &Path, environment: &Path) -> String {
    let program = escaped(program).replace('\\', "\\\\").replace('"', "\\\"").replace('$', "$$");
    let environment = escaped(environment);
    format!(
        "# Made by `codex-proxy service install`, which makes it anew; put changes into a drop-in (systemctl --user edit).
[Unit]
Description=codex-proxy: the Codex models of a ChatGPT account as an OpenAI-compatible API
After=network-online.target

[Service]
Type=notify
EnvironmentFile={environment}
ExecStart=\"{program}\" serve
ExecReload=kill -HUP $MAINPID
Restart=on-failure
RestartSec=5
# Room for open replies to finish.
TimeoutStopSec=40
UMask=0077
NoNewPrivileges=true
LockPersonality=true
MemoryDenyWriteExecute=true
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=true
RestrictRealtime=true
RestrictSUIDSGID=true
SystemCallArchitectures=native
SystemCallFilter=@system-service

[Install]
WantedBy=default.target
"
    )
}

/// A path in a unit, where `%` starts a specifier.
fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace('%', "%%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_names_program_and_settings_whatever_their_paths_hold() {
        let text = unit(Path::new("/opt/my $tools/\"100%\"/codex-proxy"), Path::new("/home/ada b/50%/service.env"));
        for line in [
            "ExecStart=\"/opt/my $$tools/\\\"100%%\\\"/codex-proxy\" serve",
            "EnvironmentFile=/home/ada b/50%%/service.env",
            "NoNewPrivileges=true",
            "WantedBy=default.target",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}
