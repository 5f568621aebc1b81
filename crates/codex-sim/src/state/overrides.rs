//! The behaviour that tests have asked for.

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
    /// The name shown to people.
    pub name: String,
    /// Its plan, e.g. `team`.
    pub plan_type: String,
    /// Whether requests for it get 402.
    #[serde(default)]
    pub is_deactivated: bool,
}

/// A fault of the next refresh (`docs/backend.md` §1.5, §8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefreshFault {
    /// 500; the token stays valid.
    ServerError,
    /// No answer until [`Control::release`](crate::Control::release); the token stays valid.
    Hang,
    /// 403 with Cloudflare's challenge page; the token stays valid.
    Cloudflare,
    /// Answers without a `refresh_token`; the presented one stays valid.
    OmitRefreshToken,
    /// Rotates the token, then drops the connection without an answer.
    ConsumeThenDrop,
    /// Rotates the token, then answers only after [`Control::release`](crate::Control::release).
    ConsumeThenHang,
    /// 401 `refresh_token_invalidated`.
    Invalidated,
    /// 401 `refresh_token_expired`.
    Expired,
    /// 400 `refresh_token_reused`: permanent despite its status.
    ReusedBadRequest,
}

/// The behaviour that tests have asked for, and what has to be remembered between requests.
#[derive(Debug)]
pub(crate) struct Overrides {
    /// The scenarios of the next requests.
    pub(crate) scenarios: VecDeque<Scenario>,
    /// The faults of the next refreshes.
    pub(crate) refresh_faults: VecDeque<RefreshFault>,
    /// Whether every backend request gets Cloudflare's challenge page.
    pub(crate) cloudflare: bool,
    /// Whether every reply is compressed, as the request accepts it.
    pub(crate) compress: bool,
    pub(crate) quota: Quota,
    /// The quota that the last turn was refused with by a scenario; until the next turn, the usage shows it.
    pub(crate) used_up: Option<Quota>,
    /// The workspaces that every login may choose in addition to its own account.
    pub(crate) workspaces: Vec<Workspace>,
    /// The status that upgrades to WebSocket are refused with.
    pub(crate) upgrade_status: Option<u16>,
    /// Counts the calls that made all connections forget their responses.
    pub(crate) forget_count: u64,
    /// The region that all workspaces are bound to.
    pub(crate) region: Option<String>,
    /// The `-once` words that have applied and will be skipped next time, by word and text.
    applied_once: Bounded<u64, ()>,
}

impl Overrides {
    /// Returns the normal behaviour; `now` is a Unix second.
    pub(crate) fn none(now: u64) -> Self {
        Self {
            scenarios: VecDeque::new(),
            refresh_faults: VecDeque::new(),
            cloudflare: false,
            compress: false,
            quota: Quota::fresh(now),
            used_up: None,
            workspaces: Vec::new(),
            upgrade_status: None,
            forget_count: 0,
            region: None,
            applied_once: Bounded::default(),
        }
    }

    /// Returns the quota that the usage shows.
    pub(crate) fn reported_quota(&self) -> Quota {
        self.used_up.unwrap_or(self.quota)
    }

    /// Sets the quota.
    pub(crate) fn set_quota(&mut self, quota: Quota) {
        (self.quota, self.used_up) = (quota, None);
    }

    /// Returns whether a `-once` word has already applied to this text. If so, it is forgotten and applies again the
    /// next time.
    pub(crate) fn skips_once(&mut self, word: &Word, text: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        (word.to_text(), text).hash(&mut hasher);
        let key = hasher.finish();
        if self.applied_once.remove(&key).is_some() {
            return true;
        }
        self.applied_once.insert(key, ());
        false
    }
}
