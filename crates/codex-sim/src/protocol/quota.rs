//! Rate-limit windows: headers on replies, and the refusal when they are exhausted (`docs/backend.md` §3.5, §3.6).

use http::StatusCode;
use serde_json::{Value, json};

use crate::protocol::refusal::Refusal;

const PRIMARY_MINUTES: u64 = 300;
const WEEKLY_MINUTES: u64 = 10_080;
/// Seconds until the windows of a fresh quota reset.
const PRIMARY_RESET_SECS: u64 = 1_609;
const WEEKLY_RESET_SECS: u64 = 340_000;

/// The usage of an account's rate-limit windows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Quota {
    primary: Window,
    /// Some plans have only a weekly window, in the primary slot.
    secondary: Option<Window>,
}

/// One window: the percentage used, the length, and the Unix second at which it resets.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Window {
    percent: f64,
    minutes: u64,
    resets_at: u64,
}

impl Window {
    fn at(self, now: u64) -> Self {
        if now < self.resets_at {
            return self;
        }
        let length = self.minutes * 60;
        let passed = (now - self.resets_at) / length + 1;
        Self { percent: 0.0, resets_at: self.resets_at + passed * length, ..self }
    }

    fn exhausted(self) -> bool {
        self.percent >= 100.0
    }

    fn secs_left(self, now: u64) -> u64 {
        self.resets_at.saturating_sub(now)
    }
}

impl Quota {
    /// Returns a quota with little usage.
    pub(crate) fn fresh(now: u64) -> Self {
        Self::both(9.0, 31.0, now)
    }

    /// Returns a five-hour and a weekly window with these used percentages.
    pub(crate) fn both(primary: f64, secondary: f64, now: u64) -> Self {
        let weekly = Window { percent: secondary, minutes: WEEKLY_MINUTES, resets_at: now + WEEKLY_RESET_SECS };
        let primary = Window { percent: primary, minutes: PRIMARY_MINUTES, resets_at: now + PRIMARY_RESET_SECS };
        Self { primary, secondary: Some(weekly) }
    }

    /// Returns a weekly window alone.
    pub(crate) fn weekly(percent: f64, now: u64) -> Self {
        let primary = Window { percent, minutes: WEEKLY_MINUTES, resets_at: now + WEEKLY_RESET_SECS };
        Self { primary, secondary: None }
    }

    /// Returns the quota at `now`: windows that have reset since are unused.
    pub(crate) fn at(self, now: u64) -> Self {
        Self { primary: self.primary.at(now), secondary: self.secondary.map(|window| window.at(now)) }
    }

    pub(crate) fn exhausted(self) -> bool {
        self.primary.exhausted() || self.secondary.is_some_and(Window::exhausted)
    }

    /// Returns an exhausted quota, for a usage-limit refusal: this one, or this one with its primary window used.
    pub(crate) fn exhausted_now(self) -> Self {
        if self.exhausted() { self } else { Self { primary: Window { percent: 100.0, ..self.primary }, ..self } }
    }

    /// Returns the `x-codex-*` headers of a 200 or a 429.
    pub(crate) fn headers(self, plan_type: &str, now: u64) -> Vec<(&'static str, String)> {
        let Window { percent, minutes, resets_at } = self.primary;
        let left = self.primary.secs_left(now).to_string();
        // Without a secondary window, its headers are zero and its reset is empty.
        let secondary = self.secondary.map_or_else(
            || ["0".to_owned(), "0".to_owned(), "0".to_owned(), String::new()],
            |w| [w.percent.to_string(), w.minutes.to_string(), w.secs_left(now).to_string(), w.resets_at.to_string()],
        );
        let [used, length, after, at] = secondary;
        vec![
            ("x-codex-active-limit", "codex".to_owned()),
            ("x-codex-plan-type", plan_type.to_owned()),
            ("x-codex-primary-used-percent", percent.to_string()),
            ("x-codex-primary-window-minutes", minutes.to_string()),
            ("x-codex-primary-reset-after-seconds", left.clone()),
            ("x-codex-primary-reset-at", resets_at.to_string()),
            ("x-codex-secondary-used-percent", used),
            ("x-codex-secondary-window-minutes", length),
            ("x-codex-secondary-reset-after-seconds", after),
            ("x-codex-secondary-reset-at", at),
            ("x-codex-primary-over-secondary-limit-percent", "0".to_owned()),
            ("x-codex-credits-has-credits", "False".to_owned()),
            ("x-codex-credits-unlimited", "False".to_owned()),
            ("x-codex-credits-balance", String::new()),
            ("x-codex-bengalfox-limit-name", SPARK.to_owned()),
            ("x-codex-bengalfox-primary-used-percent", "0".to_owned()),
            ("x-codex-bengalfox-primary-window-minutes", minutes.to_string()),
            ("x-codex-bengalfox-primary-reset-after-seconds", left),
            ("x-codex-bengalfox-primary-reset-at", resets_at.to_string()),
        ]
    }

    /// Returns the 429 `usage_limit_reached`.
    pub(crate) fn usage_limit(self, plan_type: &str, now: u64) -> Refusal {
        let error = self.limit_error(plan_type, now);
        let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, json!({"error": error}));
        refusal.header("x-codex-rate-limit-reached-type", "rate_limit_reached")
    }

    /// Returns the `error` object of a usage-limit refusal. It names the reset of the last exhausted window.
    pub(crate) fn limit_error(self, plan_type: &str, now: u64) -> Value {
        let last = self.secondary.filter(|window| window.exhausted()).unwrap_or(self.primary);
        json!({
            "type": "usage_limit_reached",
            "message": "The usage limit has been reached",
            "plan_type": plan_type,
            "resets_at": last.resets_at,
            "eligible_promo": null,
            "resets_in_seconds": last.secs_left(now),
        })
    }

    /// Returns the body of `GET /wham/usage` (`docs/backend.md` §6); percentages are integers there.
    pub(crate) fn usage(self, plan_type: &str, now: u64) -> Value {
        let window = |window: Window| {
            json!({
                "used_percent": window.percent.round() as i64,
                "limit_window_seconds": window.minutes * 60,
                "reset_after_seconds": window.secs_left(now),
                "reset_at": window.resets_at,
            })
        };
        json!({
            "plan_type": plan_type,
            "rate_limit": {
                "allowed": !self.exhausted(),
                "limit_reached": self.exhausted(),
                "primary_window": window(self.primary),
                "secondary_window": self.secondary.map(window),
            },
            "code_review_rate_limit": null,
            "additional_rate_limits": [{
                "limit_name": SPARK,
                "metered_feature": "codex_bengalfox",
                "rate_limit": {
                    "allowed": true,
                    "limit_reached": false,
                    "primary_window": window(Window { percent: 0.0, ..self.primary }),
                    "secondary_window": null,
                },
                "normal_model_slug": null,
            }],
            "model_usage": {
                "gpt-6-astra": {
                    "available": !self.exhausted(),
                    "available_at": null,
                    "credits_would_enable": false,
                },
            },
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
            "rate_limit_upsell": null,
            "promo": null,
        })
    }

    /// Adds the reserve to the body of `GET /wham/usage`: a limit of its own, unused, for when the others are reached.
    pub(crate) fn show_reserve(usage: &mut Value, now: u64) {
        let reserve = json!({
            "limit_name": RESERVE,
            "metered_feature": "base_model_inference",
            "rate_limit": {
                "allowed": true,
                "limit_reached": false,
                "primary_window": {
                    "used_percent": 0,
                    "limit_window_seconds": WEEKLY_MINUTES * 60,
                    "reset_after_seconds": WEEKLY_RESET_SECS,
                    "reset_at": now + WEEKLY_RESET_SECS,
                },
                "secondary_window": null,
            },
            "normal_model_slug": "gpt-5.6-luna",
        });
        if let Some(limits) = usage["additional_rate_limits"].as_array_mut() {
            limits.push(reserve);
        }
    }

    /// Returns the `codex.rate_limits` event (`docs/backend.md` §3.5), without its `type`.
    pub(crate) fn event(self, plan_type: &str) -> Value {
        let window = |window: Window| json!({"used_percent": window.percent, "window_minutes": window.minutes, "reset_at": window.resets_at});
        json!({
            "plan_type": plan_type,
            "rate_limits": {
                "allowed": !self.exhausted(),
                "limit_reached": self.exhausted(),
                "primary": window(self.primary),
                "secondary": self.secondary.map(window),
            },
            "additional_rate_limits": {},
            "credits": {"has_credits": false, "unlimited": false, "balance": "0"},
            "metered_limit_name": "codex",
            "limit_name": "codex",
        })
    }
}

/// The name of the limit that the `bengalfox` headers report.
const SPARK: &str = "GPT-5.3-Codex-Spark";
/// The name of the reserve, which is also the name of its model.
const RESERVE: &str = "gpt-reserve";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_unused_again_once_it_has_reset() {
        let quota = Quota::both(100.0, 40.0, 1_000);
        assert!(quota.at(1_000 + PRIMARY_RESET_SECS - 1).exhausted());
        let later = quota.at(1_000 + PRIMARY_RESET_SECS);
        assert_eq!((later.primary.percent, later.secondary), (0.0, quota.secondary));
        assert_eq!(later.primary.resets_at, 1_000 + PRIMARY_RESET_SECS + PRIMARY_MINUTES * 60);
        let much_later = quota.at(1_000 + 10 * WEEKLY_RESET_SECS);
        assert!(much_later.primary.resets_at > 1_000 + 10 * WEEKLY_RESET_SECS && !much_later.exhausted());
    }

    #[test]
    fn the_refusal_names_the_reset_of_the_exhausted_window() {
        assert_eq!(Quota::both(100.0, 40.0, 0).limit_error("plus", 0)["resets_in_seconds"], PRIMARY_RESET_SECS);
        assert_eq!(Quota::both(100.0, 100.0, 0).limit_error("plus", 0)["resets_in_seconds"], WEEKLY_RESET_SECS);
    }

    #[test]
    fn a_weekly_plan_has_its_window_in_the_primary_slot() {
        let headers = Quota::weekly(12.5, 0).headers("free", 0);
        let value = |name| headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str());
        assert_eq!(value("x-codex-primary-window-minutes"), Some("10080"));
        assert_eq!(value("x-codex-primary-used-percent"), Some("12.5"));
        assert_eq!(value("x-codex-secondary-window-minutes"), Some("0"));
        assert_eq!(value("x-codex-secondary-reset-at"), Some(""));
        assert_eq!(Quota::weekly(12.5, 0).usage("free", 0)["rate_limit"]["secondary_window"], Value::Null);
    }
}
