//! What goes to standard output: JSON for programs, tables and lines for people.

use std::io::{self, BufWriter, IsTerminal, Write};

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ordermill_client::Money;
use serde::Serialize;

/// Prints one line of text.
pub fn line(text: impl std::fmt::Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

/// Prints one JSON value on a line of its own.
pub fn json(value: &impl Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    out.write_all(b"\n")
}

/// Prints one JSON value a line.
pub fn json_lines<T: Serialize>(values: &[T]) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for value in values {
        serde_json::to_writer(&mut out, value)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// How a column is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Prints a table: with lines around it on a terminal, columns alone otherwise. Of nothing there is no table; who looks is told.
pub fn table(columns: &[(&str, Align)], rows: Vec<Vec<String>>) -> io::Result<()> {
    if rows.is_empty() {
        return writeln!(io::stderr().lock(), "There are none.");
    }
    let is_terminal = io::stdout().is_terminal();
    let mut table = Table::new();
    table.load_style(if is_terminal { presets::UTF8_FULL_CONDENSED } else { presets::NOTHING });
    // Without a terminal nothing is wrapped: a line of output is a row.
    table.set_content_arrangement(if is_terminal { ContentArrangement::Dynamic } else { ContentArrangement::Disabled });
    let aligned = |text: &str, align| {
        let alignment = if align == Align::Right { CellAlignment::Right } else { CellAlignment::Left };
        Cell::new(text).set_alignment(alignment)
    };
    table.set_header(columns.iter().map(|(name, align)| aligned(name, *align)));
    for row in rows {
        table.add_row(row.iter().zip(columns).map(|(text, (_, align))| aligned(text, *align)));
    }
    line(table.trim_fmt())
}

/// Money in major units: `19.99 USD`.
pub fn money(money: &Money) -> String {
    match money.currency.parse() {
        Ok(currency) => ordermill_core::money::Money { amount_minor: money.amount_minor, currency }.to_string(),
        Err(_) => format!("{} minor units of {}", money.amount_minor, money.currency),
    }
}

/// A moment in the machine's time zone, to the second.
pub fn moment(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The time of day in the machine's time zone, to the millisecond.
pub fn time_of_day(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%H:%M:%S%.3f").to_string()
}

/// A count with marks between the thousands: `142,316`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_readable() {
        assert_eq!([0, 999, 1_000, 142_316, 1_000_000].map(count), ["0", "999", "1,000", "142,316", "1,000,000"]);
    }

    #[test]
    fn money_of_any_currency_is_shown() {
        let of = |amount_minor, currency: &str| money(&Money { amount_minor, currency: currency.to_owned() });
        assert_eq!(of(1999, "USD"), "19.99 USD");
        assert_eq!(of(500, "JPY"), "500 JPY");
        assert_eq!(of(7, "ZZZ"), "7 minor units of ZZZ");
    }
}
