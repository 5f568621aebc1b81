//! Reads JSON from outside: a member of an unexpected type counts as absent.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Numbers from here on are milliseconds: as seconds they would lie beyond the year 5138.
const MILLISECONDS_FROM: f64 = LAST_SECOND as f64 + 1.0;

/// The latest second that a number can stand for.
pub(crate) const LAST_SECOND: u64 = 99_999_999_999;

/// Parses a JSON object. Serde alone would also accept an array for a struct, member by member.
pub(crate) fn object<'de, T: Deserialize<'de>>(json: &'de [u8]) -> serde_json::Result<T> {
    if !json.trim_ascii_start().starts_with(b"{") {
        return Err(serde_json::Error::custom("not an object"));
    }
    serde_json::from_slice(json)
}

/// Deserializes a member, or `None` if its type does not fit.
pub(crate) fn member<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    Value::deserialize(deserializer).map(|value| serde_json::from_value(value).ok())
}

/// Deserializes a duration in seconds, written as a number or as a numeric string.
pub(crate) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(number(&value).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()))
}

/// Deserializes a point in time; see [`to_time`].
pub(crate) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SystemTime>, D::Error> {
    Value::deserialize(deserializer).map(|value| to_time(&value))
}

/// Parses a point in time: Unix seconds or milliseconds as a number or numeric string, or an RFC 3339 string.
pub(crate) fn to_time(value: &Value) -> Option<SystemTime> {
    if let Some(number) = number(value) {
        let seconds = if number > MILLISECONDS_FROM { number / 1000.0 } else { number };
        // Rounded to milliseconds: a float's last digits are noise that would not survive a rewrite.
        let milliseconds = Duration::try_from_secs_f64(seconds).ok()?.as_millis();
        return UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(milliseconds).ok()?));
    }
    rfc3339(value.as_str()?.trim())
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
    .filter(|number| number.is_finite())
}

/// Parses an RFC 3339 timestamp with `Z` or a numeric offset (section 5.6); without an offset it is UTC.
fn rfc3339(text: &str) -> Option<SystemTime> {
    let Some((start, sign)) = text.char_indices().skip(11).find(|(_, c)| matches!(c, '+' | '-')) else {
        return humantime::parse_rfc3339_weak(text).ok();
    };
    let time = humantime::parse_rfc3339_weak(&text[..start]).ok()?;
    let (hours, minutes) = text[start + 1..].split_once(':')?;
    let (hours, minutes) = (hours.parse::<u8>().ok()?, minutes.parse::<u8>().ok()?);
    let offset = Duration::from_secs(u64::from(hours) * 3600 + u64::from(minutes) * 60);
    if sign == '+' { time.checked_sub(offset) } else { time.checked_add(offset) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_spelling_of_a_time_is_read() {
        let expected = UNIX_EPOCH.checked_add(Duration::from_secs(1_790_000_000));
        for value in [
            json!(1_790_000_000),
            json!(1_790_000_000.0),
            json!(1_790_000_000_000_u64),
            json!("1790000000"),
            json!(" 1790000000.0 "),
            json!("2026-09-21T14:13:20Z"),
            json!("2026-09-21T16:13:20+02:00"),
            json!("2026-09-21T10:13:20.000-04:00"),
            json!("2026-09-21 14:13:20"),
        ] {
            assert_eq!(to_time(&value), expected, "{value}");
        }
    }

    #[test]
    fn a_fraction_of_a_second_survives() {
        assert_eq!(to_time(&json!(1.25)), UNIX_EPOCH.checked_add(Duration::from_millis(1250)));
    }

    #[test]
    fn nonsense_is_absent() {
        for value in [
            json!(null),
            json!(true),
            json!(-1),
            json!("soon"),
            json!("NaN"),
            json!("inf"),
            json!(1e300),
            json!([1]),
            json!("2026-09-21T16:13:20+"),
            json!("2026-09-21T16:13:20+ä:00"),
        ] {
            assert_eq!(to_time(&value), None, "{value}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = to_time(&Value::String(text));
        }
    }
}
