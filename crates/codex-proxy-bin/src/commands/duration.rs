//! Durations in words.

use std::time::Duration;

/// Formats a duration in its largest unit: seconds do not matter here.
pub(super) fn rough(duration: Duration) -> String {
    let secs = duration.as_secs();
    let (count, unit) = match secs {
        0..120 => (secs, "second"),
        120..7_200 => (secs / 60, "minute"),
        7_200..172_800 => (secs / 3_600, "hour"),
        _ => (secs / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_given_in_their_largest_unit() {
        for (secs, text) in [(1, "1 second"), (119, "119 seconds"), (7_199, "119 minutes"), (864_000, "10 days")] {
            assert_eq!(rough(Duration::from_secs(secs)), text);
        }
    }
}
