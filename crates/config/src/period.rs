//! Lengths of time as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};
use serde::Deserialize;

/// A positive length of time, written as `15m`, `1h 30m` or `30d`. A day has 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Period(SignedDuration);

impl Period {
    /// For the order process.
    #[must_use]
    pub const fn signed(self) -> SignedDuration {
        self.0
    }

    /// For timers.
    #[must_use]
    pub const fn std(self) -> Duration {
        self.0.unsigned_abs()
    }
}

/// A length of time that may be nothing, written as a [`Period`] or as `0s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Pause(SignedDuration);

impl Pause {
    /// For timers.
    #[must_use]
    pub const fn std(self) -> Duration {
        self.0.unsigned_abs()
    }
}

fn read(text: &str) -> Result<SignedDuration, String> {
    let problem = || format!("{text:?} must be a length of time such as \"250ms\", \"15m\", \"1h 30m\" or \"30d\"");
    let span: Span = text.parse().map_err(|_| problem())?;
    span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| problem())
}

impl TryFrom<String> for Pause {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let duration = read(&text)?;
        if duration.is_negative() {
            return Err(format!("{text:?} must not be shorter than nothing"));
        }
        Ok(Self(duration))
    }
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let duration = read(text)?;
        if !duration.is_positive() {
            return Err(format!("{text:?} must be longer than nothing"));
        }
        Ok(Self(duration))
    }
}

impl TryFrom<String> for Period {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn friendly_text_is_read() {
        for (text, millis) in
            [("250ms", 250), ("15m", 900_000), ("1h 30m", 5_400_000), ("7d", 604_800_000), ("2 weeks", 1_209_600_000)]
        {
            assert_eq!(text.parse::<Period>().map(|period| period.std().as_millis()), Ok(millis), "{text}");
        }
    }

    #[test]
    fn a_pause_may_be_nothing() {
        let millis = |text: &str| Pause::try_from(text.to_owned()).map(|pause| pause.std().as_millis());
        assert_eq!((millis("0s"), millis("250ms")), (Ok(0), Ok(250)));
        assert!(millis("-1s").is_err() && millis("").is_err());
    }

    #[test]
    fn what_is_no_length_of_time_is_refused() {
        for text in ["", "15", "soon", "0s", "-1m", "1 month", "1e3s"] {
            assert!(text.parse::<Period>().is_err(), "{text:?}");
        }
    }
}
