//! The workspaces of an account, and where the requests of each one go.

mod list;
pub(crate) mod router;

pub use list::{Workspace, WorkspaceError, Workspaces};
