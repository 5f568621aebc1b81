use std::time::{Duration, SystemTime, UNIX_EPOCH};

use codex_upstream::{Credits, Quota, QuotaError, QuotaWindow};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::timer::start;

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

fn unix(secs: u64) -> Option<SystemTime> {
    Some(UNIX_EPOCH + Duration::from_secs(secs))
}

fn window(name: &str, limit: Option<&str>, minutes: u64, used: f64, resets_at: Option<SystemTime>) -> QuotaWindow {
    QuotaWindow { name: name.to_owned(), limit: limit.map(str::to_owned), minutes, used_percent: used, resets_at }
}

#[test]
fn headers_give_windows_families_credits_and_plan() {
    let quota = Quota::from_headers(
        &headers(&[
            ("x-codex-primary-used-percent", "9"),
            ("x-codex-primary-window-minutes", "299"),
            ("x-codex-primary-reset-after-seconds", "1609"),
            ("x-codex-secondary-used-percent", "31.5"),
            ("x-codex-secondary-window-minutes", "10080"),
            ("x-codex-secondary-reset-after-seconds", "1"),
            ("x-codex-secondary-reset-at", "1786501305"),
            ("x-codex-primary-over-secondary-limit-percent", "0"),
            ("x-codex-bengalfox-primary-used-percent", "80"),
            ("x-codex-bengalfox-primary-window-minutes", "10079"),
            ("x-codex-bengalfox-limit-name", "GPT-5.3-Codex-Spark"),
            ("x-codex-credits-has-credits", "True"),
            ("x-codex-credits-unlimited", "False"),
            ("x-codex-credits-balance", ""),
            ("x-codex-plan-type", "plus"),
            ("x-codex-rate-limit-reached-type", "rate_limit_reached"),
        ]),
        start(),
    );
    let spark = "GPT-5.3-Codex-Spark";
    assert_eq!(
        quota,
        Quota {
            plan: Some("plus".to_owned()),
            windows: vec![
                window("5h", None, 299, 9.0, Some(start() + Duration::from_secs(1609))),
                window("weekly", None, 10080, 31.5, unix(1_786_501_305)),
                window("GPT-5.3-Codex-Spark weekly", Some(spark), 10079, 80.0, None),
            ],
            credits: Some(Credits { has_credits: true, unlimited: false, balance: None }),
            reached: Some("rate_limit_reached".to_owned()),
        }
    );
    assert_eq!(quota.tightest().unwrap().name, "weekly");
}

#[test]
fn a_weekly_window_in_the_first_slot_is_weekly_and_zeros_are_not_a_window() {
    let quota = Quota::from_headers(
        &headers(&[
            ("x-codex-primary-used-percent", "40"),
            ("x-codex-primary-window-minutes", "10080"),
            ("x-codex-primary-reset-at", ""),
            ("x-codex-secondary-used-percent", "0"),
            ("x-codex-secondary-window-minutes", "0"),
            ("x-codex-secondary-reset-at", ""),
        ]),
        start(),
    );
    assert_eq!(quota.windows, [window("weekly", None, 10080, 40.0, None)]);
}

#[test]
fn nonsense_in_headers_is_ignored() {
    let quota = Quota::from_headers(
        &headers(&[
            ("x-codex-primary-used-percent", "NaN"),
            ("x-codex-primary-window-minutes", "60"),
            ("x-codex-primary-reset-at", "18446744073709551615"),
            ("x-codex-secondary-window-minutes", "-5"),
            ("x-codex--used-percent", "1"),
        ]),
        start(),
    );
    assert_eq!(quota.windows, [window("1h", None, 60, 0.0, None)]);
    assert_eq!(Quota::from_headers(&HeaderMap::new(), start()), Quota::default());
}

#[test]
fn a_window_of_any_length_has_a_name() {
    for (minutes, name) in
        [("299", "5h"), ("18446744073709551615", "18446744073709551615m"), ("66666666666666666300", "")]
    {
        let quota = Quota::from_headers(&headers(&[("x-codex-primary-window-minutes", minutes)]), start());
        assert_eq!(quota.windows.first().map_or("", |window| &window.name), name);
    }
}

#[test]
fn the_event_is_the_same_model() {
    let event = br#"{"type":"codex.rate_limits","plan_type":"plus","rate_limits":{"allowed":true,"limit_reached":false,
        "primary":{"used_percent":42.0,"window_minutes":300,"reset_at":1778625131},"secondary":null},
        "additional_rate_limits":{"codex_bengalfox":{"primary":{"used_percent":1,"window_minutes":1440}}},
        "credits":{"has_credits":false,"unlimited":false,"balance":"0"},"metered_limit_name":"codex"}"#;
    let quota = Quota::from_event(event, start()).unwrap();
    assert_eq!(
        quota.windows,
        [
            window("5h", None, 300, 42.0, unix(1_778_625_131)),
            window("codex_bengalfox daily", Some("codex_bengalfox"), 1440, 1.0, None),
        ]
    );
    assert_eq!(quota.plan.as_deref(), Some("plus"));
    assert_eq!(quota.credits.unwrap().balance.as_deref(), Some("0"));
}

#[test]
fn the_usage_report_is_the_same_model() {
    let report = br#"{"plan_type":"plus","rate_limit":{"allowed":true,"limit_reached":false,
        "primary_window":{"used_percent":27,"limit_window_seconds":18000,"reset_after_seconds":13140,"reset_at":1782770922},
        "secondary_window":{"used_percent":4,"limit_window_seconds":604800,"reset_after_seconds":566340}},
        "code_review_rate_limit":null,
        "additional_rate_limits":[{"limit_name":"GPT-5.3-Codex-Spark","metered_feature":"codex_bengalfox",
            "rate_limit":{"primary_window":{"used_percent":3,"limit_window_seconds":5400},"secondary_window":null}},
            {"metered_feature":"base_model_inference","rate_limit":null}, 7],
        "credits":{"has_credits":true,"unlimited":false,"balance":12.5},
        "rate_limit_reached_type":{"type":"rate_limit_reached"},"promo":null}"#;
    let quota = Quota::from_usage(report, start()).unwrap();
    assert_eq!(
        quota.windows,
        [
            window("5h", None, 300, 27.0, unix(1_782_770_922)),
            window("weekly", None, 10080, 4.0, Some(start() + Duration::from_secs(566_340))),
            window("GPT-5.3-Codex-Spark 90m", Some("GPT-5.3-Codex-Spark"), 90, 3.0, None),
        ]
    );
    assert_eq!(quota.credits, Some(Credits { has_credits: true, unlimited: false, balance: Some("12.5".to_owned()) }));
    assert_eq!(quota.reached.as_deref(), Some("rate_limit_reached"));
}

#[test]
fn every_block_may_be_null_or_absent() {
    for report in ["{}", r#"{"plan_type":null,"rate_limit":null,"additional_rate_limits":null,"credits":null}"#] {
        assert_eq!(Quota::from_usage(report.as_bytes(), start()).unwrap(), Quota::default());
        assert_eq!(Quota::from_event(report.as_bytes(), start()).unwrap(), Quota::default());
    }
    for bad in ["", "[]", "null", "{\"a\":"] {
        assert_eq!(Quota::from_usage(bad.as_bytes(), start()), Err(QuotaError::NotAnObject));
    }
}

#[test]
fn a_newer_snapshot_replaces_what_it_knows() {
    let mut quota = Quota {
        plan: Some("plus".to_owned()),
        windows: vec![window("5h", None, 300, 1.0, None), window("weekly", None, 10080, 2.0, None)],
        credits: Some(Credits::default()),
        reached: Some("rate_limit_reached".to_owned()),
    };
    quota.update(Quota { windows: vec![window("5h", None, 300, 50.0, None)], ..Quota::default() });
    assert_eq!(quota.windows[0].used_percent, 50.0);
    assert_eq!(quota.windows[1].used_percent, 2.0);
    assert_eq!((quota.plan.as_deref(), quota.credits.is_some(), quota.reached), (Some("plus"), true, None));
}

#[test]
fn what_is_written_for_clients_reads_as_it_was() {
    let quota = Quota {
        plan: Some("plus".to_owned()),
        windows: vec![
            window("weekly", None, 10080, 31.5, Some(start() + Duration::from_secs(86_400))),
            window("5h", None, 299, 9.0, Some(start() + Duration::from_secs(1609))),
        ],
        credits: Some(Credits { has_credits: true, unlimited: false, balance: Some("4.20".to_owned()) }),
        reached: Some("rate_limit_reached".to_owned()),
    };
    let mut written = HeaderMap::new();
    quota.write_headers(&mut written, start());
    let mut read = Quota::from_headers(&written, start());
    read.windows.reverse();
    assert_eq!(read, quota);
    for (name, value) in [
        ("x-codex-primary-window-minutes", "299"),
        ("x-codex-primary-reset-after-seconds", "1609"),
        ("x-codex-secondary-used-percent", "31.5"),
        ("x-ratelimit-limit-requests", "100"),
        ("x-ratelimit-remaining-requests", "68"),
        ("x-ratelimit-reset-requests", "86400s"),
    ] {
        assert_eq!(written[name], value, "{name}");
    }
}

#[test]
fn nothing_is_written_of_what_is_not_known_or_over() {
    let written = |windows: Vec<QuotaWindow>, plan: Option<&str>| {
        let mut headers = HeaderMap::new();
        let quota = Quota { windows, plan: plan.map(str::to_owned), ..Quota::default() };
        quota.write_headers(&mut headers, start());
        headers
    };
    assert!(written(Vec::new(), None).is_empty());
    assert!(written(vec![window("5h", None, 300, 50.0, Some(start()))], Some("a\nb")).is_empty());
    assert!(written(vec![window("x weekly", Some("x"), 10080, 50.0, None)], None).is_empty());
    let over = written(vec![window("5h", None, 300, 104.0, None)], None);
    assert_eq!(
        (&over["x-ratelimit-remaining-requests"], over.get("x-ratelimit-reset-requests")),
        (&HeaderValue::from_static("0"), None)
    );
}
