//! Money in minor units (cents) with its currency. All arithmetic is checked.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::limits::AMOUNT_MINOR_MAX;

/// An ISO 4217 currency.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The US dollar.
    pub const USD: Self = Self(iso_currency::Currency::USD);
    /// The euro.
    pub const EUR: Self = Self(iso_currency::Currency::EUR);

    /// The three letters.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// Decimal digits between the major and the minor unit: 2 for USD, 0 for JPY. Currencies without a minor unit count 0.
    #[must_use]
    pub fn minor_digits(self) -> u32 {
        self.0.exponent().map_or(0, u32::from)
    }
}

/// The text is no ISO 4217 code.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("must be a currency code of ISO 4217 in capitals, such as USD")]
pub struct UnknownCurrency;

impl FromStr for Currency {
    type Err = UnknownCurrency;

    fn from_str(code: &str) -> Result<Self, UnknownCurrency> {
        iso_currency::Currency::from_code(code).map(Self).ok_or(UnknownCurrency)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        code.parse().map_err(serde::de::Error::custom)
    }
}

/// An amount of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// In the currency's minor unit: cents for USD, yen for JPY.
    pub amount_minor: i64,
    /// The currency.
    pub currency: Currency,
}

impl Money {
    /// `quantity` times this price, or `None` beyond [`AMOUNT_MINOR_MAX`].
    #[must_use]
    pub fn times(self, quantity: i64) -> Option<Self> {
        let amount_minor = self.amount_minor.checked_mul(quantity)?;
        Self { amount_minor, ..self }.within_limit()
    }

    /// The sum, or `None` when the currencies differ or the sum is beyond [`AMOUNT_MINOR_MAX`].
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        if self.currency != other.currency {
            return None;
        }
        let amount_minor = self.amount_minor.checked_add(other.amount_minor)?;
        Self { amount_minor, ..self }.within_limit()
    }

    /// Itself, or `None` when negative or beyond [`AMOUNT_MINOR_MAX`].
    #[must_use]
    pub fn within_limit(self) -> Option<Self> {
        (0..=AMOUNT_MINOR_MAX).contains(&self.amount_minor).then_some(self)
    }
}

/// In major units with the code behind: `19.99 USD`, `500 JPY`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.currency.minor_digits();
        let unit = 10_u64.pow(digits);
        let sign = if self.amount_minor < 0 { "-" } else { "" };
        let amount = self.amount_minor.unsigned_abs();
        if digits == 0 {
            return write!(f, "{sign}{amount} {}", self.currency);
        }
        write!(f, "{sign}{}.{:0width$} {}", amount / unit, amount % unit, self.currency, width = digits as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(amount_minor: i64) -> Money {
        Money { amount_minor, currency: Currency::USD }
    }

    #[test]
    fn arithmetic_is_checked() {
        assert_eq!(usd(1999).times(3), Some(usd(5997)));
        assert_eq!(usd(i64::MAX).times(2), None);
        assert_eq!(usd(AMOUNT_MINOR_MAX).plus(usd(1)), None);
        assert_eq!(usd(1).plus(Money { amount_minor: 1, currency: Currency::EUR }), None);
        assert_eq!(usd(-1).within_limit(), None);
    }

    #[test]
    fn shown_in_major_units() {
        assert_eq!(usd(1999).to_string(), "19.99 USD");
        assert_eq!(usd(-5).to_string(), "-0.05 USD");
        let yen = Money { amount_minor: 500, currency: "JPY".parse().expect("JPY is a currency") };
        assert_eq!(yen.to_string(), "500 JPY");
    }
}
