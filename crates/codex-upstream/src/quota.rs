//! The remaining quota of the plan: one model for its three sources (`docs/backend.md §3.5`, `§6`).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

/// A snapshot of the plan's rate limits.
///
/// # Example
/// ```
/// use std::time::SystemTime;
///
/// use codex_upstream::Quota;
///
/// let event = br#"{"type":"codex.rate_limits","plan_type":"plus","rate_limits":{"primary":
///     {"used_percent":12.5,"window_minutes":300,"reset_after_seconds":600}}}"#;
/// let quota = Quota::from_event(event, SystemTime::now())?;
/// assert_eq!((&*quota.windows[0].name, quota.windows[0].used_percent), ("5h", 12.5));
/// # Ok::<(), codex_upstream::QuotaError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Quota {
    /// The plan, such as `plus`; unknown ones are preserved.
    pub plan: Option<String>,
    /// The windows; those of the ordinary models come first.
    pub windows: Vec<QuotaWindow>,
    /// Purchased credits.
    pub credits: Option<Credits>,
    /// The kind of limit that is exhausted, such as `workspace_member_credits_depleted`.
    pub reached: Option<String>,
}

/// One rate-limit window, identified by its length: the slot in which it arrives means nothing (`docs/backend.md
/// §3.5`).
#[derive(Debug, Clone, PartialEq)]
pub struct QuotaWindow {
    /// `5h`, `daily`, `weekly`, `monthly`, or another length such as `90m`; after the limit's name if it has one, as in
    /// `GPT-5.3-Codex-Spark weekly`.
    pub name: String,
    /// The separately metered limit that the window belongs to; `None` for the one that the ordinary models share.
    pub limit: Option<String>,
    /// The window's length, as the backend reports it: a five-hour window may have 299 minutes.
    pub minutes: u64,
    /// How much of the window is used, in percent; it can exceed 100.
    pub used_percent: f64,
    /// When the window resets.
    pub resets_at: Option<SystemTime>,
}

/// Purchased credits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credits {
    /// Whether there are any.
    pub has_credits: bool,
    /// Whether they are unlimited.
    pub unlimited: bool,
    /// The balance, as the backend formats it.
    pub balance: Option<String>,
}

/// A quota that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuotaError {
    /// The text is not a JSON object.
    #[error("the backend's usage report is not a JSON object; try again later")]
    NotAnObject,
}

impl Quota {
    /// Parses the `x-codex-*` headers of a reply. Without any of them, the quota is empty.
    ///
    /// Relative times such as `reset-after-seconds` count from `now`, here and in the other parsers.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap, now: SystemTime) -> Self {
        if !headers.keys().any(|name| name.as_str().starts_with(QuotaHeaders::PREFIX)) {
            return Self::default();
        }
        let slots = QuotaHeaders { headers, now };
        let mut windows = Vec::new();
        slots.push("", None, &mut windows);
        for family in slots.families() {
            let limit = slots.text(&format!("{family}-limit-name")).unwrap_or(family);
            slots.push(&format!("{family}-"), Some(limit), &mut windows);
        }
        let credits = slots.text("credits-has-credits").map(|has| Credits {
            has_credits: is_true(has),
            unlimited: slots.text("credits-unlimited").is_some_and(is_true),
            balance: slots.text("credits-balance").map(str::to_owned),
        });
        let owned = |name| slots.text(name).map(str::to_owned);
        Self { plan: owned("plan-type"), windows, credits, reached: owned("rate-limit-reached-type") }
    }

    /// Parses the data of a `codex.rate_limits` event.
    ///
    /// # Errors
    /// [`QuotaError`]; the caller ignores the event.
    pub fn from_event(json: &[u8], now: SystemTime) -> Result<Self, QuotaError> {
        let event = object(json)?;
        let mut quota = Self::common(&event);
        if let Some(limits) = event.get("rate_limits").and_then(Value::as_object) {
            push_pair(limits, "", None, now, &mut quota.windows);
        }
        if let Some(Value::Object(families)) = event.get("additional_rate_limits") {
            for (family, limits) in families {
                let limits = limits.get("rate_limits").unwrap_or(limits);
                if let Some(limits) = limits.as_object() {
                    push_pair(limits, "", Some(family), now, &mut quota.windows);
                }
            }
        }
        Ok(quota)
    }

    /// Parses the reply of `wham/usage`.
    ///
    /// # Errors
    /// [`QuotaError`]; the caller reports that the quota is unknown.
    pub fn from_usage(json: &[u8], now: SystemTime) -> Result<Self, QuotaError> {
        let usage = object(json)?;
        let mut quota = Self::common(&usage);
        if let Some(limit) = usage.get("rate_limit").and_then(Value::as_object) {
            push_pair(limit, "_window", None, now, &mut quota.windows);
        }
        for extra in usage.get("additional_rate_limits").and_then(Value::as_array).into_iter().flatten() {
            let name = ["limit_name", "metered_feature"].iter().find_map(|key| extra.get(key)?.as_str());
            if let Some(limit) = extra.get("rate_limit").and_then(Value::as_object) {
                push_pair(limit, "_window", Some(name.unwrap_or("other")), now, &mut quota.windows);
            }
        }
        Ok(quota)
    }

    /// Updates this quota with a newer snapshot. What the snapshot does not contain stays as it is, except
    /// [`reached`](Self::reached): without it, no limit is exhausted.
    pub fn update(&mut self, newer: Self) {
        for window in newer.windows {
            match self.windows.iter_mut().find(|known| known.name == window.name) {
                Some(known) => *known = window,
                None => self.windows.push(window),
            }
        }
        self.plan = newer.plan.or_else(|| self.plan.take());
        self.credits = newer.credits.or_else(|| self.credits.take());
        self.reached = newer.reached;
    }

    /// Writes the remaining quota as headers: the backend's own `x-codex-*`, which [`Quota::from_headers`] parses, and
    /// OpenAI's `x-ratelimit-*-requests` as a percentage of the most used window.
    ///
    /// Windows that have reset, separately metered limits and values that are not allowed in a header are left out. Of
    /// the other windows the shortest is the primary one, as the backend sends it.
    pub fn write_headers(&self, headers: &mut HeaderMap, now: SystemTime) {
        let mut put = |name: String, value: String| {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                headers.insert(name, value);
            }
        };
        let mut windows: Vec<&QuotaWindow> = self.ordinary().filter(|window| window.is_current(now)).collect();
        windows.sort_by_key(|window| window.minutes);
        for (slot, window) in ["primary", "secondary"].into_iter().zip(&windows) {
            let mut put = |field: &str, value: String| put(format!("{}{slot}-{field}", QuotaHeaders::PREFIX), value);
            put("used-percent", window.used_percent.to_string());
            put("window-minutes", window.minutes.to_string());
            if let (Some(at), Some(left)) = (window.resets_at, window.left(now)) {
                put("reset-at", at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string());
                put("reset-after-seconds", left.as_secs().to_string());
            }
        }
        let told = [("plan-type", &self.plan), ("rate-limit-reached-type", &self.reached)];
        for (name, text) in told {
            text.iter().for_each(|text| put(format!("{}{name}", QuotaHeaders::PREFIX), text.clone()));
        }
        if let Some(credits) = &self.credits {
            let mut put = |name: &str, value: String| put(format!("{}credits-{name}", QuotaHeaders::PREFIX), value);
            put("has-credits", credits.has_credits.to_string());
            put("unlimited", credits.unlimited.to_string());
            credits.balance.iter().for_each(|balance| put("balance", balance.clone()));
        }
        let tightest = windows.iter().max_by(|a, b| a.used_percent.total_cmp(&b.used_percent));
        if let Some(window) = tightest {
            let left = (100.0 - window.used_percent).clamp(0.0, 100.0).floor();
            put("x-ratelimit-limit-requests".to_owned(), "100".to_owned());
            put("x-ratelimit-remaining-requests".to_owned(), left.to_string());
            if let Some(left) = window.left(now) {
                put("x-ratelimit-reset-requests".to_owned(), format!("{}s", left.as_secs()));
            }
        }
    }

    /// Returns the most used window of the limit that the ordinary models share.
    #[must_use]
    pub fn tightest(&self) -> Option<&QuotaWindow> {
        self.ordinary().max_by(|a, b| a.used_percent.total_cmp(&b.used_percent))
    }

    fn ordinary(&self) -> impl Iterator<Item = &QuotaWindow> {
        self.windows.iter().filter(|window| window.limit.is_none())
    }

    fn common(object: &Map<String, Value>) -> Self {
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let credits = object.get("credits").and_then(Value::as_object).map(|credits| Credits {
            has_credits: credits.get("has_credits").is_some_and(truth),
            unlimited: credits.get("unlimited").is_some_and(truth),
            balance: credits
                .get("balance")
                .and_then(|balance| balance.as_number().map(ToString::to_string).or_else(|| text(balance))),
        });
        let reached = object.get("rate_limit_reached_type");
        Self {
            plan: object.get("plan_type").and_then(text),
            windows: Vec::new(),
            credits,
            reached: reached.and_then(|reached| text(reached.get("type").unwrap_or(reached))),
        }
    }
}

impl QuotaWindow {
    /// Returns the name of the window's length without its limit: `5h`, `weekly`.
    #[must_use]
    pub fn length(&self) -> &str {
        self.name.rsplit(' ').next().unwrap_or_default()
    }

    /// Returns whether the window has not reset by `now`.
    #[must_use]
    pub fn is_current(&self, now: SystemTime) -> bool {
        self.resets_at.is_none_or(|at| at > now)
    }

    /// Returns the time until the window resets.
    #[must_use]
    pub fn left(&self, now: SystemTime) -> Option<Duration> {
        self.resets_at?.duration_since(now).ok()
    }
}

/// The `x-codex-*` headers, by their names without the prefix. Empty values count as absent.
struct QuotaHeaders<'a> {
    headers: &'a HeaderMap,
    now: SystemTime,
}

impl<'a> QuotaHeaders<'a> {
    const PREFIX: &'static str = "x-codex-";
    const USED: &'static str = "-used-percent";

    fn text(&self, name: &str) -> Option<&'a str> {
        let value = self.headers.get(format!("{}{name}", Self::PREFIX))?.to_str().ok()?.trim();
        (!value.is_empty()).then_some(value)
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }

    /// Returns the extra families, such as `bengalfox` in `x-codex-bengalfox-primary-used-percent`.
    fn families(&self) -> Vec<&'a str> {
        let mut families: Vec<_> = self
            .headers
            .keys()
            .filter_map(|name| name.as_str().strip_prefix(Self::PREFIX)?.strip_suffix(Self::USED))
            .filter_map(|rest| rest.strip_suffix("-primary").or_else(|| rest.strip_suffix("-secondary")))
            .collect();
        families.sort_unstable();
        families.dedup();
        families
    }

    fn push(&self, family: &str, limit: Option<&str>, windows: &mut Vec<QuotaWindow>) {
        for slot in ["primary", "secondary"] {
            let name = |field: &str| format!("{family}{slot}-{field}");
            windows.extend(window(
                limit,
                self.number(&name("window-minutes")),
                self.number(&name("used-percent")),
                self.number(&name("reset-at")),
                self.number(&name("reset-after-seconds")),
                self.now,
            ));
        }
    }
}

/// Parses the two windows of a JSON limit, whose lengths are in minutes in events and in seconds in usage reports.
fn push_pair(
    limits: &Map<String, Value>,
    suffix: &str,
    limit: Option<&str>,
    now: SystemTime,
    out: &mut Vec<QuotaWindow>,
) {
    for slot in ["primary", "secondary"] {
        let Some(slot) = limits.get(&format!("{slot}{suffix}")).and_then(Value::as_object) else {
            continue;
        };
        let whole = |key: &str| slot.get(key).and_then(number).map(|number| number as u64);
        let minutes = whole("window_minutes").or_else(|| whole("limit_window_seconds").map(|secs| secs / 60));
        let used = slot.get("used_percent").and_then(number);
        let after = whole("reset_after_seconds").or_else(|| whole("resets_in_seconds"));
        out.extend(window(limit, minutes, used, whole("reset_at"), after, now));
    }
}

/// Creates a window from the known values. Without a length the slot is unused.
fn window(
    limit: Option<&str>,
    minutes: Option<u64>,
    used_percent: Option<f64>,
    reset_at_unix: Option<u64>,
    reset_after_secs: Option<u64>,
    now: SystemTime,
) -> Option<QuotaWindow> {
    let minutes = minutes.filter(|minutes| *minutes > 0)?;
    let absolute = reset_at_unix.filter(|secs| *secs > 0).and_then(|secs| after(UNIX_EPOCH, secs));
    let length = length_name(minutes);
    Some(QuotaWindow {
        name: limit.map_or_else(|| length.clone(), |limit| format!("{limit} {length}")),
        limit: limit.map(str::to_owned),
        minutes,
        used_percent: used_percent.filter(|used| used.is_finite()).unwrap_or(0.0),
        resets_at: absolute.or_else(|| after(now, reset_after_secs?)),
    })
}

/// Returns the name of a length, which may be up to 2 % off.
fn length_name(minutes: u64) -> String {
    const NAMES: [(u64, &str); 4] = [(300, "5h"), (1440, "daily"), (10_080, "weekly"), (43_200, "monthly")];
    let near = |named: u64| minutes.abs_diff(named) <= named / 50;
    match NAMES.iter().find(|(named, _)| near(*named)) {
        Some((_, name)) => (*name).to_owned(),
        None if minutes.is_multiple_of(1440) => format!("{}d", minutes / 1440),
        None if minutes.is_multiple_of(60) => format!("{}h", minutes / 60),
        None => format!("{minutes}m"),
    }
}

fn after(start: SystemTime, secs: u64) -> Option<SystemTime> {
    start.checked_add(Duration::from_secs(secs))
}

fn object(json: &[u8]) -> Result<Map<String, Value>, QuotaError> {
    serde_json::from_slice(json).map_err(|_| QuotaError::NotAnObject)
}

/// Parses a number, or a string that contains one.
pub(crate) fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn truth(value: &Value) -> bool {
    value.as_bool().unwrap_or_else(|| value.as_str().is_some_and(is_true))
}

/// Parses a boolean as JSON or Python formats it.
fn is_true(text: &str) -> bool {
    text.eq_ignore_ascii_case("true") || text == "1"
}
