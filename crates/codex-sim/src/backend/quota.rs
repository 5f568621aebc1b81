//! Rate-limit windows: headers on replies, and the refusals when they are used up (`wire.md` §3.5, §3.6).

use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::backend::refusal::Refusal;
use crate::reply::{self, Body};

const PRIMARY_MINUTES: u64 = 300;
const SECONDARY_MINUTES: u64 = 10_080;
const PRIMARY_RESET_SECS: u64 = 1_609;
const SECONDARY_RESET_SECS: u64 = 340_000;

/// How much of the two windows is used, in percent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quota {
    pub(crate) primary_percent: f64,
    pub(crate) secondary_percent: f64,
}

impl Default for Quota {
    fn default() -> Self {
        Self { primary_percent: 9.0, secondary_percent: 31.0 }
    }
}

impl Quota {
    pub(crate) fn exhausted(self) -> bool {
        self.primary_percent >= 100.0 || self.secondary_percent >= 100.0
    }

    /// The state in which a usage-limit refusal is sent.
    pub(crate) fn used_up(self) -> Self {
        if self.exhausted() { self } else { Self { primary_percent: 100.0, ..self } }
    }

    /// The `x-codex-*` headers, sent on 200 and on 429 alike.
    pub(crate) fn headers(self, plan_type: &str, now: u64) -> Vec<(&'static str, String)> {
        vec![
            ("x-codex-active-limit", "codex".to_owned()),
            ("x-codex-plan-type", plan_type.to_owned()),
            ("x-codex-primary-used-percent", self.primary_percent.to_string()),
            ("x-codex-primary-window-minutes", PRIMARY_MINUTES.to_string()),
            ("x-codex-primary-reset-after-seconds", PRIMARY_RESET_SECS.to_string()),
            ("x-codex-primary-reset-at", (now + PRIMARY_RESET_SECS).to_string()),
            ("x-codex-secondary-used-percent", self.secondary_percent.to_string()),
            ("x-codex-secondary-window-minutes", SECONDARY_MINUTES.to_string()),
            ("x-codex-secondary-reset-after-seconds", SECONDARY_RESET_SECS.to_string()),
            ("x-codex-secondary-reset-at", (now + SECONDARY_RESET_SECS).to_string()),
            ("x-codex-primary-over-secondary-limit-percent", "0".to_owned()),
            ("x-codex-credits-has-credits", "False".to_owned()),
            ("x-codex-credits-unlimited", "False".to_owned()),
            ("x-codex-credits-balance", String::new()),
        ]
    }

    pub(crate) fn set_headers(self, response: &mut Response<Body>, plan_type: &str, now: u64) {
        for (name, value) in self.headers(plan_type, now) {
            reply::set(response, name, &value);
        }
    }

    /// 429 `usage_limit_reached`.
    pub(crate) fn usage_limit(self, plan_type: &str, now: u64) -> Refusal {
        let secs = if self.secondary_percent >= 100.0 { SECONDARY_RESET_SECS } else { PRIMARY_RESET_SECS };
        let error = json!({
            "type": "usage_limit_reached",
            "message": "The usage limit has been reached",
            "plan_type": plan_type,
            "resets_at": now + secs,
            "eligible_promo": null,
            "resets_in_seconds": secs,
        });
        let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, json!({"error": error}));
        refusal.header("x-codex-rate-limit-reached-type", "rate_limit_reached")
    }

    /// The body of `GET /wham/usage` (`wire.md` §6); percentages are integers there.
    pub(crate) fn usage(self, plan_type: &str, now: u64) -> Value {
        let window = |percent: f64, minutes: u64, reset: u64| {
            json!({
                "used_percent": percent.round() as i64,
                "limit_window_seconds": minutes * 60,
                "reset_after_seconds": reset,
                "reset_at": now + reset,
            })
        };
        json!({
            "plan_type": plan_type,
            "rate_limit": {
                "allowed": !self.exhausted(),
                "limit_reached": self.exhausted(),
                "primary_window": window(self.primary_percent, PRIMARY_MINUTES, PRIMARY_RESET_SECS),
                "secondary_window": window(self.secondary_percent, SECONDARY_MINUTES, SECONDARY_RESET_SECS),
            },
            "code_review_rate_limit": null,
            "additional_rate_limits": [{
                "limit_name": "GPT-5.3-Codex-Spark",
                "metered_feature": "codex_bengalfox",
                "rate_limit": {
                    "allowed": true,
                    "limit_reached": false,
                    "primary_window": window(0.0, PRIMARY_MINUTES, PRIMARY_RESET_SECS),
                    "secondary_window": null,
                },
            }],
            "credits": {
                "has_credits": false,
                "unlimited": false,
                "overage_limit_reached": false,
                "balance": "0",
                "approx_local_messages": [0, 0],
                "approx_cloud_messages": [0, 0],
            },
            "spend_control": {"reached": false, "individual_limit": null},
            "rate_limit_reached_type": self.exhausted().then(|| json!({"type": "rate_limit_reached"})),
            "rate_limit_reset_credits": {"available_count": 0},
            "promo": null,
        })
    }

    /// The `codex.rate_limits` event (`wire.md` §3.5), without its `type`.
    pub(crate) fn event(self, plan_type: &str, now: u64) -> Value {
        let window = |percent: f64, minutes: u64, reset: u64| json!({"used_percent": percent, "window_minutes": minutes, "reset_at": now + reset});
        json!({
            "plan_type": plan_type,
            "rate_limits": {
                "allowed": !self.exhausted(),
                "limit_reached": self.exhausted(),
                "primary": window(self.primary_percent, PRIMARY_MINUTES, PRIMARY_RESET_SECS),
                "secondary": window(self.secondary_percent, SECONDARY_MINUTES, SECONDARY_RESET_SECS),
            },
            "credits": {"has_credits": false, "unlimited": false, "balance": "0"},
            "metered_limit_name": "codex",
            "limit_name": "codex",
        })
    }
}
