//! Instants as carriers write them, and as the senders of records do.

use jiff::fmt::temporal::Pieces;
use ordermill_core::Timestamp;

/// Digits in front of the point, and behind it, that are looked at. Seconds of the year 9999 have twelve, nanoseconds nine.
const DIGITS_MAX: usize = 18;

/// Why a text is no instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InstantError {
    /// It has not the form of one.
    Form,
    /// It is one, before or behind the years that can be held.
    Range,
}

/// ISO 8601 with `Z` or an offset. In the year 9999, and in -9999, a few hours are beyond what can be held, so that every instant can
/// be shown with any offset: what lies there is taken as the nearest that can, as `9999-12-31T23:59:59Z` is in wide use for "never".
pub(crate) fn parse_iso(text: &str) -> Result<Timestamp, InstantError> {
    text.parse().or_else(|_| nearest(text))
}

fn nearest(text: &str) -> Result<Timestamp, InstantError> {
    let pieces = Pieces::parse(text).map_err(|_| InstantError::Form)?;
    if pieces.time().is_none() || pieces.offset().is_none() {
        return Err(InstantError::Form);
    }
    match pieces.date().year() {
        9_999 => Ok(Timestamp::MAX),
        -9_999 => Ok(Timestamp::MIN),
        _ => Err(InstantError::Form),
    }
}

/// What Jackson's `InstantDeserializer` takes of a text: ISO 8601 with `Z` or an offset, or seconds since 1970 in decimal digits with
/// at most one point; blanks around it count for nothing.
pub(crate) fn parse_jackson(text: &str) -> Result<Timestamp, InstantError> {
    let text = text.trim();
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_number = unsigned.starts_with(|first: char| first.is_ascii_digit())
        && unsigned.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_number { parse_seconds(text) } else { parse_iso(text) }
}

/// Seconds since 1970 as a decimal number, exact to the nanosecond; what is finer is cut off.
pub(crate) fn parse_seconds(number: &str) -> Result<Timestamp, InstantError> {
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| InstantError::Range)?),
        None => (number, 0),
    };
    let (negative, unsigned) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return Err(InstantError::Form);
    }
    let whole = whole.trim_start_matches('0');
    if whole.len() > DIGITS_MAX {
        return Err(InstantError::Range);
    }
    let fraction = &fraction[..fraction.len().min(DIGITS_MAX)];
    let digits = whole.bytes().chain(fraction.bytes());
    let value = digits.fold(0_i128, |value, digit| value * 10 + i128::from(digit - b'0'));
    let scale = i32::try_from(fraction.len()).expect("it was just cut to a few digits");
    let nanoseconds = shift(if negative { -value } else { value }, exponent.saturating_add(9 - scale));
    let instant = nanoseconds.and_then(|nanoseconds| Timestamp::from_nanosecond(nanoseconds).ok());
    instant.ok_or(InstantError::Range)
}

/// Moves the decimal point. Downwards towards earlier, as the fraction of an instant counts forwards.
fn shift(value: i128, places: i32) -> Option<i128> {
    let power = 10_i128.checked_pow(places.unsigned_abs());
    match power {
        Some(power) if places >= 0 => value.checked_mul(power),
        Some(power) => Some(value.div_euclid(power)),
        None if value == 0 => Some(0),
        None if places >= 0 => None,
        None => Some(if value < 0 { -1 } else { 0 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(instant: Result<Timestamp, InstantError>) -> Result<String, InstantError> {
        instant.map(|instant| instant.to_string())
    }

    #[test]
    fn zones_are_taken_into_account() {
        for (text, expected) in [
            ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
            ("2026-01-31T12:00:00.123456789Z", "2026-01-31T12:00:00.123456789Z"),
            ("2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00Z"),
            ("2026-01-31T01:00:00+0530", "2026-01-30T19:30:00Z"),
            ("2026-01-31T12:00:00-11:45", "2026-01-31T23:45:00Z"),
            ("2026-01-31t12:00:00z", "2026-01-31T12:00:00Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
            ("-000500-01-01T00:00:00Z", "-000500-01-01T00:00:00Z"),
            ("9999-01-01T00:00:00Z", "9999-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59Z", "9999-12-30T22:00:00.999999999Z"),
            ("-009999-01-01T00:00:00Z", "-009999-01-02T01:59:59Z"),
        ] {
            assert_eq!(shown(parse_iso(text)), Ok(expected.to_owned()), "{text}");
        }
        for text in
            ["", "2026-01-31", "2026-01-31T12:00:00", "yesterday", "2026-13-01T00:00:00Z", "9999-12-31", "1769860800"]
        {
            assert_eq!(parse_iso(text), Err(InstantError::Form), "{text}");
        }
    }

    #[test]
    fn numbers_are_seconds_as_jackson_has_it() {
        for (text, expected) in [
            ("0", "1970-01-01T00:00:00Z"),
            ("-1", "1969-12-31T23:59:59Z"),
            ("1769860800", "2026-01-31T12:00:00Z"),
            ("1769860800.123456789", "2026-01-31T12:00:00.123456789Z"),
            ("1769860800.1234567899999999999999999999999", "2026-01-31T12:00:00.123456789Z"),
            ("-0.000000001", "1969-12-31T23:59:59.999999999Z"),
            ("1.7698608E9", "2026-01-31T12:00:00Z"),
            ("17698608000e-1", "2026-01-31T12:00:00Z"),
            ("1e-400", "1970-01-01T00:00:00Z"),
            ("0e999999999", "1970-01-01T00:00:00Z"),
            ("-99999999999", "-001199-02-15T14:13:21Z"),
        ] {
            assert_eq!(shown(parse_seconds(text)), Ok(expected.to_owned()), "{text}");
        }
        for text in ["1769860800000", "1e30", "1e99999999999", "9999999999999999999", "-9e18"] {
            assert_eq!(parse_seconds(text), Err(InstantError::Range), "{text}");
        }
        for text in ["", "-", ".5", "1_000", "0x10", "NaN", "e5", "1.2.3"] {
            assert_eq!(parse_seconds(text), Err(InstantError::Form), "{text}");
        }
    }

    #[test]
    fn a_text_of_digits_is_a_number() {
        let expected = parse_iso("2026-01-31T12:00:00Z");
        for text in [" 2026-01-31T12:00:00Z\n", "1769860800", "+1769860800", "1769860800.0"] {
            assert_eq!(parse_jackson(text), expected, "{text:?}");
        }
        for text in ["", " ", "1.7e9", "1.2.3", "-", "2026-01-31"] {
            assert_eq!(parse_jackson(text), Err(InstantError::Form), "{text:?}");
        }
    }
}
