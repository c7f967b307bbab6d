//! Prices as decimal numbers in major units, read exactly.

use std::cmp::Ordering;

use ordermill_core::limits::AMOUNT_MINOR_MAX;

/// What a decimal number is in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Minor {
    /// Exactly so many.
    Exact(i64),
    /// More than so many, and less than one more: it has more decimals than the currency.
    Above(i64),
}

/// Reads the text of a JSON number, with `digits` decimals between major and minor unit. `None` when it is no number, is
/// negative, or is beyond every price.
pub(super) fn parse(text: &str, digits: u32) -> Option<Minor> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let negative = whole.starts_with('-');
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let all = format!("{whole}{fraction}");
    let significant = all.trim_start_matches('0');
    if significant.is_empty() {
        return Some(Minor::Exact(0));
    }
    if negative {
        return None;
    }
    // The number is 0.significant * 10^point: so many of its digits stand before the point of the minor unit.
    let leading_zeros = (all.len() - significant.len()) as i64;
    let point = whole.len() as i64 - leading_zeros + exponent + i64::from(digits);
    let significant = significant.trim_end_matches('0');
    let amount = match point.cmp(&0) {
        Ordering::Less | Ordering::Equal => 0,
        Ordering::Greater => amount(significant, point)?,
    };
    let is_exact = significant.len() as i64 <= point;
    Some(if is_exact { Minor::Exact(amount) } else { Minor::Above(amount) })
}

/// Exponents beyond these bounds make every number nothing or too large.
fn parse_exponent(text: &str) -> Option<i64> {
    const BOUND: i64 = 1_000_000_000;
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let bounded = digits
        .trim_start_matches('0')
        .parse::<i64>()
        .unwrap_or(if digits.trim_start_matches('0').is_empty() { 0 } else { BOUND });
    let bounded = bounded.min(BOUND);
    Some(if text.starts_with('-') { -bounded } else { bounded })
}

/// The first `point` digits as a number, with zeros behind the last.
fn amount(significant: &str, point: i64) -> Option<i64> {
    // A number of more digits is beyond the limit, as the first is not 0.
    let point = usize::try_from(point).ok().filter(|point| *point <= 18)?;
    let digits = significant.bytes().chain(std::iter::repeat(b'0')).take(point);
    let amount = digits.fold(0_i64, |amount, digit| amount * 10 + i64::from(digit - b'0'));
    (amount <= AMOUNT_MINOR_MAX).then_some(amount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        for (text, digits, minor) in [
            ("19.99", 2, Minor::Exact(1_999)),
            ("19.990", 2, Minor::Exact(1_999)),
            ("20", 2, Minor::Exact(2_000)),
            ("0.1", 2, Minor::Exact(10)),
            ("0.29", 2, Minor::Exact(29)),
            ("1.999e1", 2, Minor::Exact(1_999)),
            ("1999E-2", 2, Minor::Exact(1_999)),
            ("0", 2, Minor::Exact(0)),
            ("-0.0", 2, Minor::Exact(0)),
            ("0e999999999999", 2, Minor::Exact(0)),
            ("500", 0, Minor::Exact(500)),
            ("1.125", 3, Minor::Exact(1_125)),
            ("10000000000000", 2, Minor::Exact(1_000_000_000_000_000)),
            ("19.999", 2, Minor::Above(1_999)),
            ("19.991", 2, Minor::Above(1_999)),
            ("0.001", 2, Minor::Above(0)),
            ("500.5", 0, Minor::Above(500)),
            ("1e-999999999999", 2, Minor::Above(0)),
            ("0.00000000000000000000000000000001", 2, Minor::Above(0)),
        ] {
            assert_eq!(parse(text, digits), Some(minor), "{text}");
        }
    }

    #[test]
    fn what_is_no_price_is_none() {
        for none in [
            "-0.01",
            "-5",
            "1e400",
            "10000000000000.01",
            "99999999999999999999999999",
            "",
            "free",
            "1.2.3",
            "1e",
            "1e+",
        ] {
            assert_eq!(parse(none, 2), None, "{none}");
        }
    }
}
