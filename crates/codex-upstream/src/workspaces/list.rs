//! The workspaces of an account: the reply of `wham/accounts/check` (`docs/backend.md §9`).

use serde_json::Value;

/// The workspaces that a login can choose from, in the backend's order.
///
/// # Example
/// ```
/// use codex_upstream::{WorkspaceError, Workspaces};
///
/// let reply = br#"{"accounts":[{"id":"1111","name":"Personal"},{"id":"2222","name":"Team","plan_type":"team"}]}"#;
/// let workspaces = Workspaces::parse(reply)?;
/// assert_eq!(workspaces.choose("team")?.id, "2222");
/// assert!(matches!(workspaces.choose("other"), Err(WorkspaceError::Unknown { .. })));
/// # Ok::<(), WorkspaceError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workspaces {
    /// All workspaces, including those that cannot be used.
    pub all: Vec<Workspace>,
}

/// One workspace: the personal account or a company's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// The account id, which requests send as `chatgpt-account-id`.
    pub id: String,
    /// The display name.
    pub name: Option<String>,
    /// The plan, such as `team`; unknown ones are preserved.
    pub plan: Option<String>,
    /// Whether requests for it are refused.
    pub is_deactivated: bool,
    /// Whether this login may use it; the default is yes.
    pub is_accessible: bool,
    /// The origin that serves it, as the backend sent it.
    pub origin: Option<String>,
    /// The region that must serve it, such as `us`; unknown ones are preserved.
    pub region: Option<String>,
}

/// A workspace that cannot be chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkspaceError {
    /// The reply cannot be parsed.
    #[error("the backend's list of workspaces cannot be parsed; try again later")]
    Unreadable,
    /// No workspace has that id or name.
    #[error("there is no workspace `{wanted}`; choose one of those listed, by its id or name")]
    Unknown {
        /// The id or name.
        wanted: String,
    },
    /// Several workspaces have that name.
    #[error("several workspaces are called `{wanted}`; choose one by its id")]
    Ambiguous {
        /// The id or name.
        wanted: String,
    },
    /// The workspace is deactivated.
    #[error("the workspace `{wanted}` is deactivated; choose another, or ask its administrator")]
    Deactivated {
        /// The id or name.
        wanted: String,
    },
    /// The login has no access to it.
    #[error(
        "this login may not use the workspace `{wanted}`; choose another, or choose it in the browser when logging in"
    )]
    Inaccessible {
        /// The id or name.
        wanted: String,
    },
}

impl Workspaces {
    /// Parses the reply. Entries without an id are skipped.
    ///
    /// # Errors
    /// [`WorkspaceError::Unreadable`]; the caller reports that the workspaces are unknown.
    pub fn parse(json: &[u8]) -> Result<Self, WorkspaceError> {
        let reply: Value = serde_json::from_slice(json).map_err(|_| WorkspaceError::Unreadable)?;
        let accounts = reply.get("accounts").and_then(Value::as_array).ok_or(WorkspaceError::Unreadable)?;
        Ok(Self { all: accounts.iter().filter_map(Workspace::read).collect() })
    }

    /// Returns the workspace with the given id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Workspace> {
        self.all.iter().find(|workspace| workspace.id == id)
    }

    /// Returns a usable workspace by its id, else by its name, ignoring case.
    ///
    /// # Errors
    /// [`WorkspaceError`], which says what to choose instead.
    pub fn choose(&self, wanted: &str) -> Result<&Workspace, WorkspaceError> {
        let wanted = wanted.trim();
        let chosen = match self.find(wanted) {
            Some(workspace) => workspace,
            None => self.named(wanted)?,
        };
        let wanted = wanted.to_owned();
        if chosen.is_deactivated {
            Err(WorkspaceError::Deactivated { wanted })
        } else if !chosen.is_accessible {
            Err(WorkspaceError::Inaccessible { wanted })
        } else {
            Ok(chosen)
        }
    }

    fn named(&self, wanted: &str) -> Result<&Workspace, WorkspaceError> {
        let lower = wanted.to_lowercase();
        let is_called =
            |workspace: &&Workspace| workspace.name.as_ref().is_some_and(|name| name.to_lowercase() == lower);
        let mut called = self.all.iter().filter(is_called);
        match (called.next(), called.next()) {
            (Some(workspace), None) => Ok(workspace),
            (Some(_), Some(_)) => Err(WorkspaceError::Ambiguous { wanted: wanted.to_owned() }),
            (None, _) => Err(WorkspaceError::Unknown { wanted: wanted.to_owned() }),
        }
    }
}

impl Workspace {
    fn read(entry: &Value) -> Option<Self> {
        let text =
            |key: &str| entry.get(key)?.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let flag = |key: &str| entry.get(key).and_then(Value::as_bool);
        Some(Self {
            id: text("id")?,
            name: text("name"),
            plan: text("plan_type"),
            is_deactivated: flag("is_deactivated").unwrap_or(false),
            is_accessible: flag("can_access_with_session").unwrap_or(true),
            origin: text("workspace_backend_origin"),
            region: text("account_routing_override"),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workspaces() -> Workspaces {
        let reply = json!({"default_account_id": "a-1", "accounts": [
            {"id": "a-1", "name": "Personal", "plan_type": "plus", "is_deactivated": false, "can_access_with_session": true},
            {"id": "a-2", "name": "Acme", "plan_type": "plan_of_2031"},
            {"id": "a-3", "name": "Twice"}, {"id": "a-4", "name": "twice"}, {"name": "no id"}, 7,
            {"id": "a-5", "name": "Gone", "is_deactivated": true},
            {"id": "a-6", "name": null, "can_access_with_session": false},
        ]});
        Workspaces::parse(reply.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn an_id_takes_precedence_over_a_name_and_names_ignore_case() {
        let workspaces = workspaces();
        assert_eq!(workspaces.all.len(), 6);
        for wanted in ["a-2", "Acme", "aCME", " acme "] {
            assert_eq!(workspaces.choose(wanted).unwrap().id, "a-2", "{wanted}");
        }
        assert_eq!(workspaces.find("a-2").unwrap().plan.as_deref(), Some("plan_of_2031"));
    }

    #[test]
    fn unusable_workspaces_are_rejected_with_the_reason() {
        let refused = |wanted: &str| workspaces().choose(wanted).unwrap_err();
        let wanted = |wanted: &str| wanted.to_owned();
        assert_eq!(refused("Acm"), WorkspaceError::Unknown { wanted: wanted("Acm") });
        assert_eq!(refused(""), WorkspaceError::Unknown { wanted: wanted("") });
        assert_eq!(refused("Twice"), WorkspaceError::Ambiguous { wanted: wanted("Twice") });
        assert_eq!(refused("gone"), WorkspaceError::Deactivated { wanted: wanted("gone") });
        assert_eq!(refused("a-6"), WorkspaceError::Inaccessible { wanted: wanted("a-6") });
    }

    #[test]
    fn other_replies_are_unreadable() {
        for text in ["", "<html>", "[]", "{}", r#"{"accounts": {}}"#] {
            assert_eq!(Workspaces::parse(text.as_bytes()), Err(WorkspaceError::Unreadable), "{text}");
        }
    }
}
