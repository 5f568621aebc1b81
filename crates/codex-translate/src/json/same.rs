//! Whether two JSON texts are the same value.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::text::Text;

/// How deeply values may be nested; serde_json's own limit for a tree.
const MAX_DEPTH: usize = 128;

/// Returns whether the text is one JSON value.
pub(crate) fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

/// Returns whether two texts are the same JSON value, however it is spaced, escaped and ordered, and however its
/// numbers are written. Text that is not JSON is no value.
pub(crate) fn is_same_value(a: &str, b: &str) -> bool {
    let parsed = serde_json::from_str::<&RawValue>;
    matches!((parsed(a), parsed(b)), (Ok(a), Ok(b)) if is_same(a.get(), b.get(), MAX_DEPTH))
}

/// Compares two valid values.
fn is_same(a: &str, b: &str, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    match (a.as_bytes().first(), b.as_bytes().first()) {
        (Some(b'{'), Some(b'{')) => {
            // Of two members with one name the last counts, as in JavaScript and Python.
            let members = serde_json::from_str::<BTreeMap<String, &RawValue>>;
            let (Ok(a), Ok(b)) = (members(a), members(b)) else { return false };
            a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.0 == b.0 && is_same(a.1.get(), b.1.get(), depth))
        }
        (Some(b'['), Some(b'[')) => {
            let elements = serde_json::from_str::<Vec<&RawValue>>;
            let (Ok(a), Ok(b)) = (elements(a), elements(b)) else { return false };
            a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| is_same(a.get(), b.get(), depth))
        }
        (Some(b'"'), Some(b'"')) => Text::Escaped(a).decode() == Text::Escaped(b).decode(),
        (Some(b'-' | b'0'..=b'9'), Some(b'-' | b'0'..=b'9')) => {
            a == b || decimal(a).is_some_and(|a| decimal(b) == Some(a))
        }
        (_, _) => a == b,
    }
}

/// Returns a number as its sign, its digits without zeros at either end, and the power of ten of the last digit; `None`
/// for an exponent that no program reads. A float would be too coarse for long ids.
fn decimal(number: &str) -> Option<(bool, String, i64)> {
    let (is_negative, number) = number.strip_prefix('-').map_or((false, number), |rest| (true, rest));
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let kept = digits.trim_end_matches('0');
    if kept.is_empty() {
        return Some((false, String::new(), 0));
    }
    let zeros = i64::try_from(digits.len() - kept.len()).ok()?;
    let exponent = exponent.parse::<i64>().ok()?.checked_add(zeros)?;
    let exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    Some((is_negative, kept.trim_start_matches('0').to_owned(), exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(a: &str, b: &str, expected: bool) {
        assert_eq!(is_same_value(a, b), expected, "{a} and {b}");
        assert_eq!(is_same_value(b, a), expected, "{b} and {a}");
    }

    #[test]
    fn spelling_does_not_matter() {
        for (a, b) in [
            (r#"{"a":1,"b":[true,null]}"#, "{ \"b\" : [ true,null ],\n\"a\": 1 } "),
            (r#"{"a":"\u00e9\/\n"}"#, r#"{"\u0061":"é/\u000a"}"#),
            (r#""\ud83d\udc4b""#, r#""👋""#),
            ("[1.50, -0, 1e3, 12]", "[1.5,0.0,1000,1.2E+1]"),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
        ] {
            check(a, b, true);
        }
    }

    #[test]
    fn another_value_is_not_the_same() {
        for (a, b) in [
            (r#"{"a":1}"#, r#"{"a":2}"#),
            (r#"{"a":1}"#, r#"{"a":"1"}"#),
            (r#"{"a":null}"#, "{}"),
            ("[1,2]", "[2,1]"),
            ("[1]", "[1,1]"),
            ("9007199254740993", "9007199254740992"),
            ("123456789012345678901", "123456789012345678900"),
            ("1", "-1"),
            ("10", "1"),
            ("true", "false"),
            (r#""a b""#, r#""a  b""#),
            (r#"{"a":1}"#, r#"{"a":1"#),
            ("x", "x"),
            ("", ""),
        ] {
            check(a, b, false);
        }
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        check(&deep(100), &format!(" {}", deep(100)), true);
        check(&deep(100_000), &format!(" {}", deep(100_000)), false);
    }
}
