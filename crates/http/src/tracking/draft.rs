//! Reports as carriers send them, and the checks that make them inputs: a batch is taken whole, or not at all.

use std::borrow::Cow;

use ordermill_core::Timestamp;
use ordermill_core::id::{CorrelationId, ParcelId};
use ordermill_core::input::ParcelReport;
use ordermill_core::intake::Violation;
use ordermill_core::limits::TRACKING_REPORTS_MAX;
use ordermill_core::parcel::ParcelStatus;
use serde_json::value::RawValue;

use crate::error_code::{ErrorCode, TOO_MANY_REPORTS};
use crate::problem::Problem;
use crate::tracking::instant::{self, InstantError};

/// Violations that are named in an answer. A sender that gets one name wrong gets it wrong ten thousand times.
const VIOLATIONS_MAX: usize = 100;
/// Characters of a caller's text that are repeated in an answer.
const QUOTED_CHARS_MAX: usize = 40;

/// What one of the two addresses calls things, and how lenient it is.
#[derive(Debug)]
pub(crate) struct Dialect {
    /// The list of the batch.
    pub list: &'static str,
    /// The parcel.
    pub id: &'static str,
    /// Where it is.
    pub status: &'static str,
    /// When it was seen there.
    pub seen_at: &'static str,
    /// The names of the states.
    pub status_name: fn(ParcelStatus) -> &'static str,
    /// Whether ids and instants may be numbers, statuses and instants may stand between blanks, and fields that are not known are passed
    /// over, as Jackson has it.
    pub lenient: bool,
    /// The problem when a batch is not valid.
    pub invalid: &'static ErrorCode,
}

/// One field as it came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Field<'a> {
    /// Not there, or null.
    #[default]
    Missing,
    /// A text.
    Text(Cow<'a, str>),
    /// A JSON number, as it was written.
    Number(&'a str),
    /// Something that is never right.
    Other(&'static str),
}

impl<'a> From<Option<&'a RawValue>> for Field<'a> {
    fn from(raw: Option<&'a RawValue>) -> Self {
        let Some(raw) = raw else { return Self::Missing };
        let text = raw.get();
        match text.as_bytes() {
            // Nearly every text is written without escapes, and is taken as it stands.
            [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => Self::Text(Cow::Borrowed(&text[1..text.len() - 1])),
            [b'"', ..] => match serde_json::from_str(text) {
                Ok(text) => Self::Text(Cow::Owned(text)),
                Err(_) => Self::Other("holds an escape that stands for no character"),
            },
            [b'-' | b'0'..=b'9', ..] => Self::Number(text),
            _ => Self::Other("must be a text"),
        }
    }
}

/// One report as it came.
#[derive(Debug, Default)]
pub(crate) struct Draft<'a> {
    /// What the carrier calls the parcel.
    pub id: Field<'a>,
    /// Where it is.
    pub status: Field<'a>,
    /// When it was seen there.
    pub seen_at: Field<'a>,
}

/// The reports of a request. What is beyond the longest batch is counted and not kept, so that a small body takes little memory.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    /// How many there are.
    pub found: usize,
    /// The first [`TRACKING_REPORTS_MAX`] of them.
    pub kept: Vec<Draft<'a>>,
}

/// Checks a batch.
///
/// # Errors
/// `too_many_reports`, or the dialect's problem with every violation found, or the first hundred.
pub(crate) fn check(
    dialect: &Dialect,
    batch: Batch<'_>,
    correlation_id: Option<&CorrelationId>,
) -> Result<Vec<ParcelReport>, Problem> {
    let found = batch.found;
    if found > TRACKING_REPORTS_MAX {
        let detail = format!("a batch may hold {TRACKING_REPORTS_MAX} reports, this one has {found}");
        return Err(Problem::new(&TOO_MANY_REPORTS, detail));
    }
    if found == 0 {
        return Err(Problem::field(dialect.invalid, dialect.list, "must not be empty"));
    }
    let mut reports = Vec::with_capacity(found);
    let mut wrong = Wrong { dialect, shown: Vec::new(), found: 0 };
    for (index, draft) in batch.kept.iter().enumerate() {
        let parcel_id = check_id(dialect, &draft.id).map_err(|message| wrong.add(index, dialect.id, message));
        let status = check_status(dialect, &draft.status).map_err(|message| wrong.add(index, dialect.status, message));
        let seen_at =
            check_instant(dialect, &draft.seen_at).map_err(|message| wrong.add(index, dialect.seen_at, message));
        if let (Ok(parcel_id), Ok(status), Ok(seen_at)) = (parcel_id, status, seen_at) {
            reports.push(ParcelReport { parcel_id, status, seen_at, correlation_id: correlation_id.cloned() });
        }
    }
    wrong.finish().map_or(Ok(reports), Err)
}

type Message = Cow<'static, str>;

fn check_id(dialect: &Dialect, field: &Field<'_>) -> Result<ParcelId, Message> {
    match field {
        Field::Text(text) => ParcelId::new(text).map_err(|error| error.to_string().into()),
        Field::Number(text) if dialect.lenient => ParcelId::new(text).map_err(|error| error.to_string().into()),
        other => Err(unusable(other)),
    }
}

fn check_status(dialect: &Dialect, field: &Field<'_>) -> Result<ParcelStatus, Message> {
    let Field::Text(text) = field else { return Err(unusable(field)) };
    let name = if dialect.lenient { text.trim() } else { text };
    let known = ParcelStatus::ALL.into_iter().find(|status| (dialect.status_name)(*status) == name);
    known.ok_or_else(|| {
        let names = ParcelStatus::ALL.map(dialect.status_name).join(", ");
        let quoted: String = name.chars().take(QUOTED_CHARS_MAX).collect();
        let cut = if quoted.len() < name.len() { "…" } else { "" };
        format!("must be one of {names}, is {quoted:?}{cut}").into()
    })
}

fn check_instant(dialect: &Dialect, field: &Field<'_>) -> Result<Timestamp, Message> {
    let instant = match field {
        Field::Text(text) if dialect.lenient => instant::parse_jackson(text),
        Field::Text(text) => instant::parse_iso(text),
        Field::Number(text) if dialect.lenient => instant::parse_seconds(text),
        other => return Err(unusable(other)),
    };
    instant.map_err(|error| {
        Cow::Borrowed(match error {
            InstantError::Form => "must be an instant with its offset, such as 2026-01-31T12:00:00Z",
            InstantError::Range => {
                "must lie in the years -9999 to 9999; a number counts seconds since 1970, not milliseconds"
            }
        })
    })
}

/// What is wrong with a field that is of no kind taken.
fn unusable(field: &Field<'_>) -> Message {
    Cow::Borrowed(match field {
        Field::Missing => "is required",
        Field::Other(message) => message,
        Field::Text(_) | Field::Number(_) => "must be a text",
    })
}

/// The violations of a batch.
struct Wrong<'a> {
    dialect: &'a Dialect,
    shown: Vec<Violation>,
    found: usize,
}

impl Wrong<'_> {
    fn add(&mut self, index: usize, field: &str, message: Message) {
        self.found += 1;
        if self.shown.len() < VIOLATIONS_MAX {
            self.shown.push(Violation::new(format!("{}[{index}].{field}", self.dialect.list), message));
        }
    }

    fn finish(self) -> Option<Problem> {
        if self.found == 0 {
            return None;
        }
        let beyond = self.found > self.shown.len();
        let mut problem = Problem::violations(self.dialect.invalid, self.shown);
        if beyond {
            let detail = format!("{} fields are not valid; the first {VIOLATIONS_MAX} are named", self.found);
            problem.detail = detail.into();
        }
        Some(problem)
    }
}
