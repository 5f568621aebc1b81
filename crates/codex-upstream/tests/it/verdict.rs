use std::time::{Duration, SystemTime};

use base64::Engine as _;
use codex_translate::ErrorKind::{self, *};
use codex_upstream::{Failure, Verdict, verdict};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use proptest::prelude::*;

use crate::timer::start;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair =
        |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    pairs.iter().map(pair).collect()
}

fn parse(status: u16, pairs: &[(&'static str, &str)], body: &str) -> Failure {
    Failure::parse(StatusCode::from_u16(status).unwrap(), &headers(pairs), body.as_bytes(), start())
}

const RETRY: Verdict = Verdict::Retry { after: None };

/// Every row of docs/backend.md §3.6 and §2.7 that arrives as an HTTP reply: status, body, kind, code, verdict.
#[rustfmt::skip]
const REPLIES: &[(u16, &str, ErrorKind, Option<&str>, Verdict)] = &[
    (400, r#"{"detail":"Unsupported parameter: temperature"}"#, InvalidRequest, None, Verdict::Fail),
    (400, r#"{"detail":"Store must be set to false"}"#, InvalidRequest, None, Verdict::Fail),
    (400, r#"{"error":{"message":"no","type":"invalid_request","param":null,"code":"cyber_policy"}}"#, PolicyRefused, Some("cyber_policy"), Verdict::Fail),
    (400, r#"{"detail":"Selected model is at capacity. Please try a different model."}"#, Overloaded, Some("server_is_overloaded"), RETRY),
    (400, r#"{"error":{"message":"Selected model is at capacity. Please try a different model.","type":"invalid_request_error","param":null,"code":null}}"#, Overloaded, Some("server_is_overloaded"), RETRY),
    (400, r#"{"error":{"message":"too long","type":"invalid_request_error","param":"input","code":"context_length_exceeded"}}"#, ContextLengthExceeded, Some("context_length_exceeded"), Verdict::Fail),
    (400, r#"{"detail":"The 'gpt-5.6-sol' model is not supported when using Codex with a ChatGPT account."}"#, ModelNotFound, Some("model_not_found"), Verdict::Fail),
    (400, r#"{"detail":"The 'gpt-6-astra' model requires a newer version of Codex. Please upgrade to the latest app or CLI and try again."}"#, InvalidRequest, Some("client_version_too_old"), Verdict::Fail),
    (404, r#"{"error":{"message":"Model not found gpt-6","type":"invalid_request_error","param":null,"code":null}}"#, ModelNotFound, Some("model_not_found"), Verdict::Fail),
    (400, r#"{"error":{"message":"Invalid 'input[371].id'","type":"invalid_request_error","param":"input[371].id","code":"invalid_id_prefix"}}"#, InvalidRequest, Some("invalid_id_prefix"), Verdict::Fail),
    (404, r#"{"error":{"message":"Item with id 'rs_1' not found. Items are not persisted when `store` is set to false.","type":"invalid_request_error","param":"input","code":null}}"#, NotFound, None, Verdict::Fail),
    (400, r#"{"error":{"message":"No tool call found for function call output with call_id call_1.","type":"invalid_request_error","param":"input","code":null}}"#, InvalidRequest, None, Verdict::Fail),
    (400, r#"{"error":{"message":"The encrypted content gAAA...Rg== could not be verified.","type":"invalid_request_error","param":null,"code":"invalid_encrypted_content"}}"#, InvalidRequest, Some("invalid_encrypted_content"), Verdict::Fail),
    (400, r#"{"error":{"message":"Unsupported value: 'minimal'","type":"invalid_request_error","param":"reasoning.effort","code":"unsupported_value"}}"#, InvalidRequest, Some("unsupported_value"), Verdict::Fail),
    (401, r#"{"detail":"Unauthorized"}"#, Authentication, Some("upstream_login_required"), Verdict::Reauth),
    (401, r#"{"error":{"message":"Your authentication token has been invalidated. Please try signing in again.","type":"invalid_request_error","code":"token_invalidated","param":null},"status":401}"#, Authentication, Some("upstream_login_required"), Verdict::Reauth),
    (401, r#"{"error":{"message":"expired","code":"token_expired"}}"#, Authentication, Some("upstream_login_required"), Verdict::Reauth),
    (401, "", Authentication, Some("upstream_login_required"), Verdict::Reauth),
    (402, r#"{"detail":{"code":"deactivated_workspace"}}"#, Permission, Some("deactivated_workspace"), Verdict::Fail),
    (403, r#"{"detail":{"code":"invalid_workspace_selected"}}"#, Permission, Some("invalid_workspace_selected"), Verdict::Fail),
    (403, r#"{"error":{"message":"banned","code":"account_deactivated"}}"#, Permission, Some("account_deactivated"), Verdict::Fail),
    (403, "<html><title>Just a moment...</title></html>", Server, Some("cloudflare_challenge"), Verdict::Challenge),
    (403, "\n <!DOCTYPE html><h1>Sorry, you have been blocked</h1>", Server, Some("cloudflare_challenge"), Verdict::Challenge),
    (403, "<html><style>.container{align-items:center;display:flex}</style>", Server, Some("cloudflare_challenge"), Verdict::Challenge),
    (403, "error code: 1020\n", Server, Some("cloudflare_challenge"), Verdict::Challenge),
    (403, "error code: nonsense", Permission, None, Verdict::Fail),
    (503, "<html><script>window._cf_chl_opt = {}</script></html>", Server, Some("cloudflare_challenge"), Verdict::Challenge),
    (200, "\u{feff}<!doctype html>", Server, Some("cloudflare_challenge"), Verdict::Challenge),
    (200, "<html><body>unable to load site</body></html>", Server, Some("cloudflare_challenge"), Verdict::Challenge),
    (404, "", Server, Some("upstream_error"), Verdict::Fail),
    (404, "<html>nginx</html>", Server, Some("upstream_error"), Verdict::Fail),
    (429, r#"{"error":{"type":"usage_limit_reached","message":"The usage limit has been reached","plan_type":"free","resets_at":1775317531,"eligible_promo":null,"resets_in_seconds":317531}}"#, UsageLimit, Some("usage_limit_reached"), Verdict::Limit),
    (429, r#"{"error":{"type":"usage_not_included","message":"no"}}"#, QuotaExceeded, Some("insufficient_quota"), Verdict::Limit),
    (429, r#"{"error":{"type":"tokens","code":"rate_limit_exceeded","message":"Rate limit reached. Please try again in 11.054s."}}"#, RateLimited, Some("rate_limit_exceeded"), Verdict::Limit),
    (429, r#"{"error":{"code":"insufficient_quota","message":"no"}}"#, QuotaExceeded, Some("insufficient_quota"), Verdict::Limit),
    (429, r#"{"error":{"type":"usage_limit_reached","code":"new_name","message":"no"}}"#, UsageLimit, Some("usage_limit_reached"), Verdict::Limit),
    (429, "", RateLimited, Some("rate_limit_exceeded"), Verdict::Limit),
    (429, "<html>error code: 1015</html>", RateLimited, Some("rate_limit_exceeded"), Verdict::Limit),
    (500, "", Server, Some("upstream_error"), RETRY),
    (500, r#"{"error":{"message":"x","type":"server_error","code":null}}"#, Server, Some("server_error"), RETRY),
    (502, "<html><title>502 Bad Gateway</title></html>", Server, Some("upstream_error"), RETRY),
    (502, "<html>Bad gateway <script src='/cdn-cgi/challenge-platform/scripts/jsd/main.js'></script></html>", Server, Some("upstream_error"), RETRY),
    (408, "", Server, Some("upstream_error"), RETRY),
    (503, r#"{"error":{"code":"server_is_overloaded","message":"Our servers are currently overloaded. Please try again later."}}"#, Overloaded, Some("server_is_overloaded"), RETRY),
    (503, r#"{"error":{"code":"slow_down","message":"x"}}"#, Overloaded, Some("slow_down"), RETRY),
    (503, "", Overloaded, Some("server_is_overloaded"), RETRY),
    (504, "gateway timeout", Server, Some("upstream_error"), RETRY),
    (520, "<html>cloudflare 520</html>", Server, Some("upstream_error"), RETRY),
    (524, "", Server, Some("upstream_error"), RETRY),
    (413, "", InvalidRequest, None, Verdict::Fail),
    (302, "", Server, Some("upstream_error"), Verdict::Fail),
];

#[test]
fn every_documented_reply_is_told_apart() {
    for (status, body, kind, code, expected) in REPLIES {
        let failure = parse(*status, &[], body);
        assert_eq!((failure.error.kind(), failure.error.code()), (*kind, *code), "{status} {body}");
        assert_eq!(failure.status, *status);
        assert!(!failure.error.message().is_empty(), "{status} {body}");
        let status = StatusCode::from_u16(*status).unwrap();
        assert_eq!(verdict(status, &headers(&[]), body.as_bytes(), start()), *expected, "{status} {body}");
    }
}

#[test]
fn a_success_that_is_not_a_page_is_read() {
    for (body, content_type) in [("", None), ("event: x", None), ("{}", Some("application/json"))] {
        let headers = content_type.map(|value| headers(&[("content-type", value)])).unwrap_or_default();
        assert_eq!(verdict(StatusCode::OK, &headers, body.as_bytes(), start()), Verdict::Ok, "{body}");
    }
    for media in ["text/html; charset=utf-8", "Text/HTML", "text/html;charset=x", "application/xhtml+xml"] {
        let page = headers(&[("content-type", media)]);
        assert_eq!(verdict(StatusCode::OK, &page, b"", start()), Verdict::Challenge, "{media}");
    }
    let other = headers(&[("content-type", "text/html-ish")]);
    assert_eq!(verdict(StatusCode::OK, &other, b"", start()), Verdict::Ok);
}

#[test]
fn the_mitigation_header_alone_is_a_challenge() {
    for status in [200, 401, 403, 429, 503] {
        let failure = parse(status, &[("cf-mitigated", "challenge")], r#"{"detail":"x"}"#);
        assert_eq!(
            (failure.error.code(), failure.verdict()),
            (Some("cloudflare_challenge"), Verdict::Challenge),
            "{status}"
        );
    }
}

#[test]
fn a_used_up_window_says_when_it_resets() {
    let absolute = REPLIES.iter().find(|row| row.2 == UsageLimit).unwrap();
    let failure = parse(absolute.0, &[], absolute.1);
    assert_eq!(failure.resets_at, Some(start() + Duration::from_secs(317_531)));
    assert_eq!(failure.error.retry_after(), Some(Duration::from_secs(317_531)));
    let reset = "and resets in 3 days 16 hours, on Sat, 04 Apr 2026 15:45:31 GMT";
    let expected = |what: &str| format!("The usage limit has been reached: the {what} is used up {reset}");
    assert_eq!(failure.error.message(), expected("quota of the free plan"));
    let full = [("x-codex-secondary-used-percent", "100"), ("x-codex-secondary-window-minutes", "10080")];
    assert_eq!(parse(absolute.0, &full, absolute.1).error.message(), expected("weekly window of the free plan"));

    for secs in ["60", "60.9", "\"60\""] {
        let body = format!(r#"{{"error":{{"type":"usage_limit_reached","message":"m","resets_in_seconds":{secs}}}}}"#);
        let relative = parse(429, &[("retry-after", "5")], &body);
        assert_eq!(relative.resets_at, Some(start() + Duration::from_secs(60)), "{secs}");
        // A retry after five seconds would get the same answer.
        assert_eq!(relative.error.retry_after(), Some(Duration::from_secs(60)), "{secs}");
    }

    let past = parse(429, &[], r#"{"error":{"type":"usage_limit_reached","message":"m","resets_at":1}}"#);
    assert_eq!(
        (past.resets_at, past.error.retry_after()),
        (Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1)), None)
    );

    let absurd =
        parse(429, &[], r#"{"error":{"type":"usage_limit_reached","resets_in_seconds":18446744073709551615}}"#);
    assert_eq!(absurd.resets_at, None);
}

#[test]
fn the_headers_report_a_limit_that_the_body_does_not() {
    let full = [
        ("x-codex-primary-used-percent", "100"),
        ("x-codex-primary-window-minutes", "300"),
        ("x-codex-primary-reset-after-seconds", "1609"),
        ("x-codex-plan-type", "plus"),
        ("x-codex-rate-limit-reached-type", "rate_limit_reached"),
    ];
    let failure = parse(429, &full, "");
    assert_eq!((failure.error.kind(), failure.resets_at), (UsageLimit, Some(start() + Duration::from_secs(1609))));
    assert_eq!(failure.error.retry_after(), Some(Duration::from_secs(1609)));
    assert!(
        failure.error.message().contains("the 5h window of the plus plan is used up"),
        "{}",
        failure.error.message()
    );

    let depleted = [("x-codex-rate-limit-reached-type", "workspace_member_credits_depleted")];
    assert_eq!(parse(429, &depleted, "").error.kind(), QuotaExceeded);
    assert_eq!(parse(500, &depleted, "").error.kind(), Server);
}

#[test]
fn a_client_that_is_too_old_learns_whose_version_counts() {
    let detail = "The 'gpt-6-astra' model requires a newer version of Codex. Please upgrade to the latest app or CLI.";
    let failure = parse(400, &[], &format!(r#"{{"detail":"{detail}"}}"#));
    assert_eq!(failure.error.code(), Some("client_version_too_old"));
    let advice = failure.error.message().strip_prefix(detail).unwrap();
    assert!(advice.contains("proxy"), "{failure:?}");
}

#[test]
fn a_delay_is_read_from_the_header_or_the_message() {
    let date = httpdate::fmt_http_date(start() + Duration::from_secs(90));
    let rows = [
        (Some("7"), "", Some(7000)),
        (Some(date.as_str()), "", Some(90_000)),
        (Some("Thu, 01 Jan 1970 00:00:00 GMT"), "", Some(0)),
        (Some("soon"), "", None),
        (Some("7"), "Please try again in 11s.", Some(7000)),
        (None, "Please try again in 11.054s. Visit", Some(11_054)),
        (None, "please Try Again In 250ms", Some(250)),
        (None, "try again in 3 seconds", Some(3000)),
        (None, "try again in 1.2.3s, or in 5 moons", None),
    ];
    for (header, message, expected_ms) in rows {
        let pairs: Vec<_> = header.map(|value| ("retry-after", value)).into_iter().collect();
        let body = format!(r#"{{"error":{{"message":"{message}","code":"rate_limit_exceeded"}}}}"#);
        let delay = parse(429, &pairs, &body).error.retry_after();
        assert_eq!(delay, expected_ms.map(Duration::from_millis), "{header:?} {message}");
    }
    let after = Some(Duration::from_secs(7));
    assert_eq!(parse(503, &[("retry-after", "7")], "").verdict(), Verdict::Retry { after });
}

#[test]
fn codes_are_read_from_the_headers_when_the_body_has_none() {
    let json = base64::engine::general_purpose::STANDARD.encode(r#"{"error":{"code":"in_json"}}"#);
    let both = [("x-error-json", json.as_str()), ("x-openai-authorization-error", "other")];
    assert_eq!(parse(403, &both, r#"{"detail":"Forbidden"}"#).error.code(), Some("in_json"));
    let short = [("x-openai-authorization-error", "missing_scope"), ("x-error-json", "!!")];
    assert_eq!(parse(403, &short, "").error.code(), Some("missing_scope"));
    let body = r#"{"error":{"code":"in_body","message":"m"}}"#;
    assert_eq!(parse(403, &both, body).error.code(), Some("in_body"));
}

#[test]
fn every_dialect_gives_message_and_parameter() {
    let list = r#"{"detail":[{"loc":["body","input",0,"id"],"msg":"bad","type":"t"},{"msg":"worse"}]}"#;
    let rows = [
        (r#"{"detail":"text"}"#, "text", None),
        (r#"{"detail":{"code":"c","message":"told"}}"#, "told", None),
        (
            r#"{"detail":{"code":"deactivated_workspace"}}"#,
            "the selected workspace is deactivated; log in again and select another",
            None,
        ),
        (r#"{"detail":{"code":"c"}}"#, "the backend answered 422 Unprocessable Entity: c", None),
        (list, "input.0.id: bad; worse", Some("input.0.id")),
        (r#"{"error":"invalid_grant","error_description":"told"}"#, "told", None),
        (r#"{"error":{"message":"told","param":"tools[0]"}}"#, "told", Some("tools[0]")),
        (r#"{"message":"told"}"#, "told", None),
        (r#"{}"#, "the backend answered 422 Unprocessable Entity: {}", None),
        ("[1,2]", "the backend answered 422 Unprocessable Entity: [1,2]", None),
        ("", "the backend answered 422 Unprocessable Entity with no explanation", None),
    ];
    for (body, message, param) in rows {
        let failure = parse(422, &[], body);
        assert_eq!((failure.error.message(), failure.error.param()), (message, param), "{body}");
    }
}

#[test]
fn a_page_is_never_shown() {
    let page = "<html><body>s3cret page</body></html>";
    let wrapped = [
        format!(r#"{{"detail":"{page}"}}"#),
        format!(r#"{{"error":{{"message":"\n{page}","code":null}}}}"#),
        format!(r#""{page}""#),
        format!("bad gateway: {page}"),
    ];
    for body in [page].into_iter().chain(wrapped.iter().map(String::as_str)) {
        for status in [200, 302, 400, 403, 404, 429, 500, 503] {
            let failure = parse(status, &[], body);
            assert!(
                !failure.error.message().contains("s3cret") && !failure.error.message().contains('<'),
                "{}",
                failure.error.message()
            );
        }
    }
}

#[test]
fn a_long_list_of_problems_is_cut() {
    let problem = serde_json::json!({"loc": vec!["x".repeat(1900); 9], "msg": "y".repeat(1900)});
    let failure = parse(422, &[], &serde_json::json!({"detail": vec![problem; 9]}).to_string());
    assert_eq!(failure.error.message().chars().count(), 2000);
    assert_eq!(failure.error.param().unwrap().chars().count(), 2000);
}

#[test]
fn a_redirect_names_the_host_only() {
    let failure = parse(302, &[("location", "https://other.example/path?token=s3cret")], "");
    assert!(failure.error.message().contains(" to other.example,"), "{}", failure.error.message());
    assert!(!failure.error.message().contains("s3cret"));
}

proptest! {
    #[test]
    fn whatever_the_body_the_message_is_one_short_printable_line(
        status in 200u16..600,
        body in prop::collection::vec(any::<u8>(), 0..4000),
        json in any::<bool>(),
    ) {
        let body = if json {
            serde_json::json!({ "detail": String::from_utf8_lossy(&body) }).to_string().into_bytes()
        } else {
            body
        };
        let failure = Failure::parse(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), &body, start());
        prop_assert!(!failure.error.message().chars().any(char::is_control));
        prop_assert!(!failure.error.message().is_empty());
        let limit = if json { 2000 } else { 260 };
        prop_assert!(failure.error.message().chars().count() <= limit);
        prop_assert!(json || !failure.error.message().contains('<'));
    }
}
