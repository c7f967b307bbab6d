//! One line of the journal.
//!
//! `<order, 32 hex digits> <operation>/<attempt> <authorization> <amount in minor units> <currency> <outcome> <microseconds>`,
//! for instance `0193a5…e1 capture-1/1 1 1999 USD ok 1732176795123456`. Text, so that a person and `grep` can read it; of fixed
//! order, so that six million of them are read in a second.

use std::io::Write;

use ordermill_core::Timestamp;
use ordermill_core::id::OrderId;
use ordermill_core::money::{Currency, Money};
use ordermill_core::payment::{DeclineReason, OperationId, OperationKind, PaymentKey};
use ordermill_ports::audit::ProviderEntry;

use super::account::Operation;

/// Longer than any line can be.
pub(super) const LINE_BYTES_MAX: usize = 192;

/// A completed operation, with its order and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    pub order_id: OrderId,
    pub operation: Operation,
    pub at: Timestamp,
}

impl Line {
    /// Writes the line, with its end.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let Operation { id, attempt, authorization, amount, refused } = &self.operation;
        let order = self.order_id.uuid();
        let outcome = refused.map_or("ok", DeclineReason::as_str);
        let (minor, currency, micros) = (amount.amount_minor, amount.currency, self.at.as_microsecond());
        let order = order.as_simple();
        writeln!(out, "{order} {id}/{attempt} {authorization} {minor} {currency} {outcome} {micros}")
            .expect("writing to memory cannot fail");
    }

    /// As the auditor sees it.
    pub(super) const fn entry(&self) -> ProviderEntry {
        let Operation { id, attempt, amount, refused, .. } = self.operation;
        ProviderEntry {
            key: PaymentKey { order_id: self.order_id, operation: id, attempt },
            amount_minor: amount.amount_minor,
            succeeded: refused.is_none(),
            at: self.at,
        }
    }
}

/// Reads lines. Finding a currency by its code takes longer than all the rest of a line, and one line's currency is nearly always
/// that of the line before: it is kept.
#[derive(Debug, Default)]
pub(super) struct Parser {
    currency: Option<Currency>,
}

impl Parser {
    /// Reads a line without its end.
    pub(super) fn parse(&mut self, line: &[u8]) -> Result<Line, &'static str> {
        let mut fields = line.split(|byte| *byte == b' ');
        let mut next = || fields.next().ok_or("a field is missing");
        let order_id = order_id(next()?)?;
        let (id, attempt) = operation(next()?)?;
        let authorization = small(next()?)?;
        let amount_minor = integer(next()?)?;
        let currency = self.currency(next()?)?;
        let refused = outcome(next()?)?;
        let at = Timestamp::from_microsecond(integer(next()?)?).map_err(|_| "the time is out of range")?;
        if fields.next().is_some() {
            return Err("there is more than an operation");
        }
        let amount = Money { amount_minor, currency };
        Ok(Line { order_id, operation: Operation { id, attempt, authorization, amount, refused }, at })
    }

    fn currency(&mut self, field: &[u8]) -> Result<Currency, &'static str> {
        if let Some(currency) = self.currency.filter(|currency| currency.code().as_bytes() == field) {
            return Ok(currency);
        }
        let code = str::from_utf8(field).unwrap_or_default();
        let currency = code.parse().map_err(|_| "the currency is unknown")?;
        self.currency = Some(currency);
        Ok(currency)
    }
}

fn order_id(field: &[u8]) -> Result<OrderId, &'static str> {
    const PROBLEM: &str = "the order is not 32 hexadecimal digits";
    let digits: &[u8; 32] = field.try_into().map_err(|_| PROBLEM)?;
    let mut bytes = [0; 16];
    let mut all = 0;
    for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
        let (high, low) = (NIBBLES[usize::from(pair[0])], NIBBLES[usize::from(pair[1])]);
        *byte = (high << 4) | (low & 15);
        all |= high | low;
    }
    if all > 15 { Err(PROBLEM) } else { Ok(OrderId::from_bytes(bytes)) }
}

/// The value of each hexadecimal digit, 255 for everything else.
const NIBBLES: [u8; 256] = {
    let mut table = [255; 256];
    let mut value = 0;
    while value < 16 {
        table[b"0123456789abcdef"[value] as usize] = value as u8;
        value += 1;
    }
    table
};

fn operation(field: &[u8]) -> Result<(OperationId, u16), &'static str> {
    const PROBLEM: &str = "the operation is not one such as capture-1/1";
    let dash = field.iter().position(|byte| *byte == b'-').ok_or(PROBLEM)?;
    let kind = match &field[..dash] {
        b"authorize" => OperationKind::Authorize,
        b"capture" => OperationKind::Capture,
        b"void" => OperationKind::Void,
        b"refund" => OperationKind::Refund,
        _ => return Err(PROBLEM),
    };
    let rest = &field[dash + 1..];
    let slash = rest.iter().position(|byte| *byte == b'/').ok_or(PROBLEM)?;
    let number = small(&rest[..slash])?;
    Ok((OperationId { kind, number }, small(&rest[slash + 1..])?))
}

fn outcome(field: &[u8]) -> Result<Option<DeclineReason>, &'static str> {
    const REASONS: [DeclineReason; 7] = [
        DeclineReason::Declined,
        DeclineReason::InsufficientFunds,
        DeclineReason::AuthorizationExpired,
        DeclineReason::Voided,
        DeclineReason::AlreadyCaptured,
        DeclineReason::NotFound,
        DeclineReason::Invalid,
    ];
    if field == b"ok" {
        return Ok(None);
    }
    let reason = REASONS.into_iter().find(|reason| reason.as_str().as_bytes() == field);
    reason.map(Some).ok_or("the outcome is unknown")
}

fn small(field: &[u8]) -> Result<u16, &'static str> {
    integer(field)?.try_into().map_err(|_| "a number is out of range")
}

fn integer(field: &[u8]) -> Result<i64, &'static str> {
    const PROBLEM: &str = "a number is expected";
    let (negative, digits) = match field {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 19 {
        return Err(PROBLEM);
    }
    // Nineteen digits fit into 64 bits without a sign, so that one check at the end is enough.
    let (mut value, mut all_digits) = (0_u64, true);
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        all_digits &= digit <= 9;
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
    }
    let signed = if negative { 0_i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() };
    signed.filter(|_| all_digits).ok_or(PROBLEM)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn line() -> Line {
        Line {
            order_id: OrderId::from_bytes(*b"\x01\x93\xa5\xc0\x11\x22\x73\x44\x95\x66\x77\x88\x99\xaa\xbb\xcc"),
            operation: Operation {
                id: OperationId { kind: OperationKind::Refund, number: 65_535 },
                attempt: 65_535,
                authorization: 65_535,
                amount: Money { amount_minor: i64::MIN, currency: Currency::EUR },
                refused: Some(DeclineReason::AuthorizationExpired),
            },
            at: Timestamp::MAX.round(jiff::Unit::Second).unwrap_or(Timestamp::UNIX_EPOCH),
        }
    }

    #[test]
    fn a_line_reads_as_the_module_says_and_back() {
        let mut text = Vec::new();
        let mut usual = line();
        usual.operation = Operation {
            id: OperationId { kind: OperationKind::Capture, number: 1 },
            attempt: 1,
            authorization: 1,
            amount: Money { amount_minor: 1999, currency: Currency::USD },
            refused: None,
        };
        usual.at = Timestamp::from_microsecond(1_732_176_795_123_456).expect("a time in range");
        usual.write(&mut text);
        let expected: &[u8] = b"0193a5c0112273449566778899aabbcc capture-1/1 1 1999 USD ok 1732176795123456\n";
        assert_eq!(text, expected);
        assert_eq!(Parser::default().parse(&text[..text.len() - 1]), Ok(usual));
    }

    #[test]
    fn the_longest_line_stays_below_the_limit_and_survives() {
        let mut text = Vec::new();
        line().write(&mut text);
        assert!(text.len() < LINE_BYTES_MAX, "{}", text.len());
        assert_eq!(Parser::default().parse(&text[..text.len() - 1]), Ok(line()));
    }

    #[test]
    fn numbers_reach_to_both_ends_and_no_further() {
        for number in [0, 7, -7, i64::MAX, i64::MIN] {
            assert_eq!(integer(number.to_string().as_bytes()), Ok(number));
        }
        for bad in
            ["", "-", "+1", "1-", "9223372036854775808", "-9223372036854775809", "18446744073709551616", ":", "/", "1 "]
        {
            assert!(integer(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn no_part_of_a_line_is_a_line() {
        let mut text = Vec::new();
        line().write(&mut text);
        // The time is the last field, so that only a cut within it could go unseen; the end of the line is what tells.
        let time = text.iter().rposition(|byte| *byte == b' ').unwrap();
        for end in 0..=time {
            assert!(Parser::default().parse(&text[..end]).is_err(), "{end}");
        }
        text[3] = b'G';
        assert!(Parser::default().parse(&text[..text.len() - 1]).is_err());
    }
}
