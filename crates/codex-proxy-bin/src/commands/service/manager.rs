//! What a service manager does.

use std::path::Path;

use crate::commands::CommandError;
use crate::commands::service::environment::Environment;
use crate::commands::service::process::CommandRunner;

/// What runs services for a user. Files are written by the command; everything else goes through
/// [`CommandRunner`].
pub(super) trait ServiceManager {
    /// The file that describes the service.
    fn file(&self) -> &Path;

    /// What that file holds.
    fn text(&self, program: &Path, environment: &Environment) -> String;

    /// Refuses where the manager does not run.
    fn expect_running(&self, runner: &mut dyn CommandRunner) -> Result<(), CommandError>;

    /// Starts the service as the file now has it, and at each login from now on.
    fn start(&self, runner: &mut dyn CommandRunner) -> Result<(), CommandError>;

    /// Ends the service if it runs, and does not start it any more. The file is still there.
    fn stop(&self, runner: &mut dyn CommandRunner) -> Result<(), CommandError>;

    /// Has the manager forget the file, which is gone.
    fn forget(&self, runner: &mut dyn CommandRunner) -> Result<(), CommandError>;

    /// Shows the state to the user; whether it runs.
    fn show(&self, runner: &mut dyn CommandRunner) -> Result<bool, CommandError>;

    /// Shows the log to the user, and goes on if that is wanted.
    fn log(&self, follow: bool, runner: &mut dyn CommandRunner) -> Result<(), CommandError>;

    /// What else the user may want to do.
    fn advice(&self, runner: &mut dyn CommandRunner) -> Option<String>;
}
