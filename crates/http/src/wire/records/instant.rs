//! The times of messages: ISO 8601, or Unix seconds.

use jiff::SignedDuration;
use ordermill_core::Timestamp;
use serde_json::Value;

/// Reads a time, in whole microseconds as it is stored. Any instant of the years -9999 to 9999 is one, however far away.
pub(super) fn read(value: &Value) -> Option<Timestamp> {
    let at = match value {
        Value::String(text) => read_text(text.trim())?,
        Value::Number(number) => match number.as_i64() {
            Some(seconds) => Timestamp::from_second(seconds).ok()?,
            None => from_seconds(number.as_f64()?)?,
        },
        _ => return None,
    };
    Timestamp::from_microsecond(at.as_microsecond()).ok()
}

fn read_text(text: &str) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Timestamp::from_second(seconds).ok();
    }
    // A number may have a fraction; what else floating-point numbers can be is no time.
    if text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-')) && text.contains('.') {
        return from_seconds(text.parse().ok()?);
    }
    text.parse().ok()
}

fn from_seconds(seconds: f64) -> Option<Timestamp> {
    // Microseconds are as fine as a double is for times of this century.
    let rounded = (seconds * 1e6).round() / 1e6;
    Timestamp::from_duration(SignedDuration::try_from_secs_f64(rounded).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn reads(value: Value, expected: &str) {
        assert_eq!(read(&value).map(|at| at.to_string()).as_deref(), Some(expected), "{value}");
    }

    #[test]
    fn iso_8601_has_a_zone_and_may_have_a_fraction() {
        reads(json!("2023-01-01T00:00:00Z"), "2023-01-01T00:00:00Z");
        reads(json!("2023-01-01T00:00:00+02:00"), "2022-12-31T22:00:00Z");
        reads(json!("2023-01-01T00:00:00-0530"), "2023-01-01T05:30:00Z");
        reads(json!("2023-01-01T00:00:00.123Z"), "2023-01-01T00:00:00.123Z");
        reads(json!(" 2023-01-01 00:00:00Z "), "2023-01-01T00:00:00Z");
        reads(json!("2023-01-01T00:00:00.1234567Z"), "2023-01-01T00:00:00.123456Z");
    }

    #[test]
    fn unix_seconds_are_a_number_or_a_text() {
        reads(json!(1_672_531_200), "2023-01-01T00:00:00Z");
        reads(json!("1672531200"), "2023-01-01T00:00:00Z");
        reads(json!(1_672_531_200.5), "2023-01-01T00:00:00.5Z");
        reads(json!("1672531200.25"), "2023-01-01T00:00:00.25Z");
        reads(json!(1_672_531_200.123_456), "2023-01-01T00:00:00.123456Z");
        reads(json!(0), "1970-01-01T00:00:00Z");
        reads(json!(-1), "1969-12-31T23:59:59Z");
        reads(json!("-1.5"), "1969-12-31T23:59:58.5Z");
    }

    #[test]
    fn the_far_past_and_future_are_times() {
        reads(json!("0001-01-01T00:00:00Z"), "0001-01-01T00:00:00Z");
        reads(json!("9999-12-30T00:00:00Z"), "9999-12-30T00:00:00Z");
        reads(json!(-62_135_596_800_i64), "0001-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_no_time() {
        for bad in ["yesterday", "2023-01-01", "2023-01-01T00:00:00", "2023-13-01T00:00:00Z", "1e9", "inf", "nan", ".", "-", "1.2.3"] {
            assert_eq!(read(&json!(bad)), None, "{bad}");
        }
        for bad in [json!(true), json!([]), json!({}), json!(1_672_531_200_000_i64), json!(1e300), json!(u64::MAX)] {
            assert_eq!(read(&bad), None, "{bad}");
        }
    }
}
