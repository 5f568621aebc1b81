//! launchd's agents of a user.

use std::path::{Path, PathBuf};

use crate::cli::session::UserSession;
use crate::commands::CommandError;
use crate::commands::service::environment::ServiceEnvironment;
use crate::commands::service::manager::ServiceManager;
use crate::commands::service::process::{CommandRunner, called, expect_success, words};

const LABEL: &str = "codex-proxy";

pub(super) struct Launchd {
    file: PathBuf,
    log: PathBuf,
    /// The user's graphical session, such as `gui/501`.
    domain: String,
}

impl Launchd {
    pub(super) fn new(session: &UserSession, runner: &mut dyn CommandRunner) -> Result<Self, CommandError> {
        let home = session.home.as_ref().ok_or_else(|| {
            CommandError::Other("there is no home directory for the service (HOME is not set)".to_owned())
        })?;
        let user = expect_success(runner, &words(&["id", "-u"]))?;
        Ok(Self {
            file: home.join("Library/LaunchAgents").join(format!("{LABEL}.plist")),
            log: home.join("Library/Logs").join(format!("{LABEL}.log")),
            domain: format!("gui/{}", user.trim()),
        })
    }

    fn target(&self) -> String {
        format!("{}/{LABEL}", self.domain)
    }
}

impl ServiceManager for Launchd {
    fn file(&self) -> &Path {
        &self.file
    }

    fn text(&self, program: &Path, environment: &ServiceEnvironment) -> String {
        plist(program, environment, &self.log)
    }

    fn expect_running(&self, runner: &mut dyn CommandRunner) -> Result<(), CommandError> {
        let ran = called(runner, &words(&["launchctl", "print", &self.domain]))?;
        if ran.is_success {
            return Ok(());
        }
        Err(CommandError::Other(format!(
            "launchd has no session {} for this user; log in on the desktop, not only over SSH, and try again",
            self.domain
        )))
    }

    fn start(&self, runner: &mut dyn CommandRunner) -> Result<(), CommandError> {
        // A running service has the old description. That there is none is not a failure.
        called(runner, &words(&["launchctl", "bootout", &self.target()]))?;
        let mut command = words(&["launchctl", "bootstrap", &self.domain]);
        command.push(self.file.as_os_str());
        expect_success(runner, &command).map(drop)
    }

    fn stop(&self, runner: &mut dyn CommandRunner) -> Result<(), CommandError> {
        called(runner, &words(&["launchctl", "bootout", &self.target()])).map(drop)
    }

    fn forget(&self, _: &mut dyn CommandRunner) -> Result<(), CommandError> {
        Ok(())
    }

    fn show(&self, runner: &mut dyn CommandRunner) -> Result<bool, CommandError> {
        runner.show(&words(&["launchctl", "print", &self.target()])).map_err(CommandError::other)
    }

    fn log(&self, follow: bool, runner: &mut dyn CommandRunner) -> Result<(), CommandError> {
        let mut command = words(if follow { &["tail", "-n", "100", "-F"] } else { &["tail", "-n", "100"] });
        command.push(self.log.as_os_str());
        runner.show(&command).map(drop).map_err(CommandError::other)
    }

    fn advice(&self, _: &mut dyn CommandRunner) -> Option<String> {
        None
    }
}

/// Returns the description of the agent (launchd.plist(5)). It contains the settings, which launchd reads from no other
/// file.
pub(super) fn plist(program: &Path, environment: &ServiceEnvironment, log: &Path) -> String {
    let variables: String = environment
        .iter()
        .map(|(name, value)| format!("    <key>{}</key>\n    <string>{}</string>\n", escaped(name), escaped(value)))
        .collect();
    let (program, log) = (escaped(&program.to_string_lossy()), escaped(&log.to_string_lossy()));
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>{LABEL}</string>
  <key>ProgramArguments</key>
  <array>
    <string>{program}</string>
    <string>serve</string>
  </array>
  <key>EnvironmentVariables</key>
  <dict>
{variables}  </dict>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>5</integer>
  <key>ExitTimeOut</key>
  <integer>40</integer>
  <key>Umask</key>
  <integer>63</integer>
  <key>StandardOutPath</key>
  <string>{log}</string>
  <key>StandardErrorPath</key>
  <string>{log}</string>
</dict>
</plist>
"#
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
