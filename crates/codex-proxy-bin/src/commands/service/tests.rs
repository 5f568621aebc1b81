use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;

use super::*;
use crate::cli::args::{ServiceInstallArgs, ServiceLogsArgs, ServiceRemoveArgs, ServiceStatusArgs};
use crate::commands::service::process::{CommandOutput, shown};
use crate::config::environment::Environment;

/// Gives scripted answers to commands, and records them.
#[derive(Default)]
struct Script {
    answers: VecDeque<CommandOutput>,
    commands: Vec<String>,
}

impl Script {
    fn answering(answers: &[(bool, &str)]) -> Self {
        let answers = answers
            .iter()
            .map(|(is_success, said)| CommandOutput { is_success: *is_success, said: (*said).to_owned() });
        Self { answers: answers.collect(), commands: Vec::new() }
    }
}

impl CommandRunner for Script {
    fn run(&mut self, command: &[&OsStr]) -> io::Result<CommandOutput> {
        self.commands.push(shown(command));
        Ok(self.answers.pop_front().unwrap_or(CommandOutput { is_success: true, said: String::new() }))
    }

    fn show(&mut self, command: &[&OsStr]) -> io::Result<bool> {
        self.run(command).map(|ran| ran.is_success)
    }
}

struct User {
    directory: tempfile::TempDir,
    settings: Vec<(&'static str, &'static str)>,
}

impl User {
    fn new(settings: &[(&'static str, &'static str)]) -> Self {
        Self { directory: tempfile::tempdir().unwrap(), settings: settings.to_vec() }
    }

    fn env(&self) -> Environment {
        let home = ("HOME", self.directory.path().as_os_str());
        self.settings.iter().map(|(name, value)| (*name, OsStr::new(value))).chain([home]).collect()
    }

    fn config(&self) -> Config {
        Config::from_flags(&[], &self.env()).unwrap()
    }

    fn session(&self) -> UserSession {
        UserSession::detect(&self.env())
    }

    fn systemd(&self, command: &ServiceCommand, runner: &mut Script) -> Result<String, CommandError> {
        let config = self.config();
        let manager = Systemd::new(&config, &self.session())?;
        self.run(&config, manager, command, runner)
    }

    fn launchd(&self, command: &ServiceCommand, runner: &mut Script) -> Result<String, CommandError> {
        let config = self.config();
        let manager = Launchd::new(&self.session(), runner)?;
        self.run(&config, manager, command, runner)
    }

    fn run<M: ServiceManager>(
        &self,
        config: &Config,
        manager: M,
        command: &ServiceCommand,
        runner: &mut Script,
    ) -> Result<String, CommandError> {
        let service = Service { config, program: PathBuf::from("/opt/codex-proxy"), manager };
        let mut out = Vec::new();
        service.run(command, runner, &mut out)?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }

    fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.directory.path().join(path)).ok()
    }
}

const UNIT: &str = ".config/systemd/user/codex-proxy.service";
const ENVIRONMENT: &str = ".codex-proxy/service.env";

fn install() -> ServiceCommand {
    ServiceCommand::Install(ServiceInstallArgs { host: None, port: None })
}

#[test]
fn install_writes_unit_and_key_and_starts() {
    let user = User::new(&[("HTTPS_PROXY", "http://p:3128"), ("CODEX_PROXY_PORT", "9000")]);
    let mut runner = Script::default();
    let said = user.systemd(&install(), &mut runner).unwrap();
    assert_eq!(
        runner.commands,
        [
            "systemctl --user show-environment",
            "systemctl --user daemon-reload",
            "systemctl --user enable codex-proxy.service",
            "systemctl --user restart codex-proxy.service",
            "loginctl show-user --property=Linger",
        ]
    );
    assert!(user.read(UNIT).unwrap().contains("ExecStart=\"/opt/codex-proxy\" serve"));
    let environment = user.read(ENVIRONMENT).unwrap();
    let (_, key) = environment.split_once("CODEX_PROXY_API_KEY=\"").unwrap();
    let key = key.split_once('"').unwrap().0;
    assert!(
        said.contains(key) && said.contains("http://localhost:9000/v1") && said.contains("enable-linger"),
        "{said}"
    );
    assert!(environment.contains("https_proxy=\"http://p:3128\"") && environment.contains("CODEX_PROXY_PORT=\"9000\""));
}

#[cfg(unix)]
#[test]
fn the_file_with_the_key_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let user = User::new(&[]);
    user.systemd(&install(), &mut Script::default()).unwrap();
    for file in [UNIT, ENVIRONMENT] {
        let mode = std::fs::metadata(user.directory.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn a_second_install_keeps_the_key_and_does_not_show_it() {
    let user = User::new(&[]);
    user.systemd(&install(), &mut Script::default()).unwrap();
    let kept = user.read(ENVIRONMENT).unwrap();
    let (_, key) = kept.split_once("CODEX_PROXY_API_KEY=\"").unwrap();
    let key = key.split_once('"').unwrap().0;
    let said = user.systemd(&install(), &mut Script::default()).unwrap();
    assert!(!said.contains(key), "{said}");
    assert_eq!(user.read(ENVIRONMENT).unwrap(), kept);
}

#[test]
fn a_configured_key_is_used() {
    let user = User::new(&[("CODEX_PROXY_API_KEY", "mine")]);
    let said = user.systemd(&install(), &mut Script::default()).unwrap();
    assert!(user.read(ENVIRONMENT).unwrap().contains("CODEX_PROXY_API_KEY=\"mine\""));
    assert!(!said.contains("mine"), "{said}");
    // The service itself reads a key in the configuration file.
    let user = User::new(&[]);
    let home = user.directory.path().join(".codex-proxy");
    std::fs::create_dir(&home).unwrap();
    std::fs::write(home.join("config.toml"), "api_key = \"mine\"").unwrap();
    user.systemd(&install(), &mut Script::default()).unwrap();
    assert!(!user.read(ENVIRONMENT).unwrap().contains("API_KEY"));
}

#[test]
fn without_systemd_nothing_is_written() {
    let user = User::new(&[]);
    let mut runner = Script::answering(&[(false, "Failed to connect to bus: No medium found\n")]);
    let error = user.systemd(&install(), &mut runner).unwrap_err().to_string();
    assert!(error.contains("No medium found") && error.contains("codex-proxy serve"), "{error}");
    assert_eq!((user.read(UNIT), user.read(ENVIRONMENT)), (None, None));
}

#[test]
fn the_error_contains_systemds_output() {
    let user = User::new(&[]);
    let mut runner = Script::answering(&[(true, ""), (true, ""), (false, "Unit is masked.\n")]);
    let error = user.systemd(&install(), &mut runner).unwrap_err().to_string();
    assert!(
        error.contains("systemctl --user enable codex-proxy.service") && error.contains("Unit is masked."),
        "{error}"
    );
}

#[test]
fn remove_undoes_install_and_keeps_the_login() {
    let user = User::new(&[]);
    user.systemd(&install(), &mut Script::default()).unwrap();
    let credentials = user.directory.path().join(".codex-proxy/credentials.json");
    std::fs::write(&credentials, "{}").unwrap();
    let mut runner = Script::default();
    let remove = ServiceCommand::Remove(ServiceRemoveArgs {});
    user.systemd(&remove, &mut runner).unwrap();
    assert_eq!(
        runner.commands,
        [
            "systemctl --user show-environment",
            "systemctl --user disable --now codex-proxy.service",
            "systemctl --user daemon-reload",
        ]
    );
    assert_eq!((user.read(UNIT), user.read(ENVIRONMENT)), (None, None));
    assert!(credentials.exists());
    let said = user.systemd(&remove, &mut Script::default()).unwrap();
    assert!(said.contains("no service to remove"), "{said}");
}

#[test]
fn status_and_logs_are_the_managers_own() {
    let user = User::new(&[]);
    let status = ServiceCommand::Status(ServiceStatusArgs {});
    let error = user.systemd(&status, &mut Script::default()).unwrap_err().to_string();
    assert!(error.contains("codex-proxy service install"), "{error}");
    user.systemd(&install(), &mut Script::default()).unwrap();
    let mut runner = Script::default();
    user.systemd(&status, &mut runner).unwrap();
    user.systemd(&ServiceCommand::Logs(ServiceLogsArgs { follow: true }), &mut runner).unwrap();
    assert_eq!(
        runner.commands,
        [
            "systemctl --user status --no-pager codex-proxy.service",
            "journalctl --user --unit codex-proxy.service --lines 100 --follow",
        ]
    );
}

#[test]
fn launchd_gets_a_plist_with_the_settings() {
    let user = User::new(&[("CODEX_PROXY_ALIASES", "a=<b>&c")]);
    let mut runner = Script::answering(&[(true, "501\n")]);
    user.launchd(&install(), &mut runner).unwrap();
    let plist = "Library/LaunchAgents/codex-proxy.plist";
    let file = user.directory.path().join(plist);
    assert_eq!(
        runner.commands,
        [
            "id -u".to_owned(),
            "launchctl print gui/501".to_owned(),
            "launchctl bootout gui/501/codex-proxy".to_owned(),
            format!("launchctl bootstrap gui/501 {}", file.display()),
        ]
    );
    let text = user.read(plist).unwrap();
    assert!(
        text.contains("<string>a=&lt;b&gt;&amp;c</string>") && text.contains("<key>CODEX_PROXY_API_KEY</key>"),
        "{text}"
    );
    let mut runner = Script::answering(&[(true, "501\n")]);
    user.launchd(&ServiceCommand::Remove(ServiceRemoveArgs {}), &mut runner).unwrap();
    assert_eq!(user.read(plist), None);
}
