//! What tests have asked for.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde::{Deserialize, Serialize};

use crate::bounded::Bounded;
use crate::protocol::quota::Quota;
use crate::scenario::Scenario;
use crate::scenario::word::Word;

/// A workspace that a login may choose.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Workspace {
    /// The account id, the value of `chatgpt-account-id`.
    pub id: String,
    /// The name that people know it by.
    pub name: String,
    /// Its plan, e.g. `team`.
    pub plan_type: String,
    /// Whether requests for it are refused with 402.
    #[serde(default)]
    pub is_deactivated: bool,
}

/// What happens to the next refresh (`docs/backend.md` §1.5, §8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefreshFault {
    /// 500; the token stays good.
    ServerError,
    /// No answer until [`Control::release`](crate::Control::release); the token stays good.
    Hang,
    /// 403 with Cloudflare's challenge page; the token stays good.
    Cloudflare,
    /// Answers without a `refresh_token`; the presented one stays good.
    OmitRefreshToken,
    /// Rotates the token, then breaks the connection off without an answer.
    ConsumeThenDrop,
    /// Rotates the token, then answers only after [`Control::release`](crate::Control::release).
    ConsumeThenHang,
    /// 401 `refresh_token_invalidated`.
    Invalidated,
    /// 401 `refresh_token_expired`.
    Expired,
    /// 400 `refresh_token_reused`: permanent in spite of its status.
    ReusedBadRequest,
}

/// The behaviour that tests have asked for, and what must be remembered between requests to do it.
#[derive(Debug)]
pub(crate) struct Overrides {
    /// The scenarios of the next requests.
    pub(crate) scenarios: VecDeque<Scenario>,
    /// The faults of the next refreshes.
    pub(crate) refresh_faults: VecDeque<RefreshFault>,
    /// Whether every backend request gets Cloudflare's challenge page.
    pub(crate) cloudflare: bool,
    pub(crate) quota: Quota,
    /// The workspaces that every login may choose in addition to its own account.
    pub(crate) workspaces: Vec<Workspace>,
    /// The status that upgrades to WebSocket are refused with.
    pub(crate) upgrade_status: Option<u16>,
    /// Counts how often all connections were made to forget their responses.
    pub(crate) forget_count: u64,
    /// The region that the workspaces are bound to.
    pub(crate) region: Option<String>,
    /// The `-once` words that have applied and not yet been skipped, by the text they stood in.
    applied_once: Bounded<u64, ()>,
}

impl Overrides {
    /// Returns the normal behaviour; `now` is a Unix second.
    pub(crate) fn none(now: u64) -> Self {
        Self {
            scenarios: VecDeque::new(),
            refresh_faults: VecDeque::new(),
            cloudflare: false,
            quota: Quota::fresh(now),
            workspaces: Vec::new(),
            upgrade_status: None,
            forget_count: 0,
            region: None,
            applied_once: Bounded::default(),
        }
    }

    /// Returns whether a `-once` word has applied to this text already. It is then forgotten, so the next time it applies again.
    pub(crate) fn skips_once(&mut self, word: &Word, text: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        (word.written(), text).hash(&mut hasher);
        let key = hasher.finish();
        if self.applied_once.remove(&key).is_some() {
            return true;
        }
        self.applied_once.insert(key, ());
        false
    }
}
