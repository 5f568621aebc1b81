//! The readers of quotas accept any headers, event and usage report, and what is written to headers is read back.
#![no_main]

mod common;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use codex_upstream::Quota;
use http::HeaderMap;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let now = UNIX_EPOCH + Duration::from_secs(1_786_000_000);
    check(Quota::from_headers(&common::headers(bytes).0, now), now);
    for quota in [Quota::from_event(bytes, now), Quota::from_usage(bytes, now)].into_iter().flatten() {
        check(quota, now);
    }
});

fn check(quota: Quota, now: SystemTime) {
    assert!(quota.windows.iter().all(|window| window.minutes > 0 && window.used_percent.is_finite()), "{quota:?}");
    let mut headers = HeaderMap::new();
    quota.write_headers(&mut headers, now);
    let read = Quota::from_headers(&headers, now);
    let mut shown: Vec<_> =
        quota.windows.iter().filter(|window| window.limit.is_none() && window.is_current(now)).collect();
    shown.sort_by_key(|window| window.minutes);
    let figures = |windows: &[&codex_upstream::QuotaWindow]| {
        windows.iter().map(|window| (window.minutes, window.used_percent)).collect::<Vec<_>>()
    };
    assert_eq!(figures(&read.windows.iter().collect::<Vec<_>>()), figures(&shown[..shown.len().min(2)]));
    // Writing again changes nothing.
    let mut again = HeaderMap::new();
    read.write_headers(&mut again, now);
    assert_eq!(Quota::from_headers(&again, now), read);
}
