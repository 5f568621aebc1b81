//! The operations of a service manager.

use std::path::Path;

use crate::commands::CommandError;
use crate::commands::service::environment::ServiceEnvironment;
use crate::commands::service::process::CommandRunner;

/// A service manager of the user. The command itself writes the files; everything else goes through
/// [`CommandRunner`].
pub(super) trait ServiceManager {
    /// Returns the path of the file that describes the service.
    fn file(&self) -> &Path;

    /// Returns the contents of that file.
    fn text(&self, program: &Path, environment: &ServiceEnvironment) -> String;

    /// Fails if the manager does not run.
    fn expect_running(&self, runner: &mut dyn CommandRunner) -> Result<(), CommandError>;

    /// Starts the service as the file describes it, now and at each login.
    fn start(&self, runner: &mut dyn CommandRunner) -> Result<(), CommandError>;

    /// Stops the service if it runs, and no longer starts it at login. The file still exists.
    fn stop(&self, runner: &mut dyn CommandRunner) -> Result<(), CommandError>;

    /// Tells the manager that the file was removed.
    fn forget(&self, runner: &mut dyn CommandRunner) -> Result<(), CommandError>;

    /// Shows the state to the user; returns whether the service runs.
    fn show(&self, runner: &mut dyn CommandRunner) -> Result<bool, CommandError>;

    /// Shows the log to the user, and follows it if `follow` is set.
    fn log(&self, follow: bool, runner: &mut dyn CommandRunner) -> Result<(), CommandError>;

    /// Returns further advice for the user.
    fn advice(&self, runner: &mut dyn CommandRunner) -> Option<String>;
}
