//! Which events of the feed are wanted.

use ordermill_core::event::{EventType, Recorded, SubjectKind};
use utoipa::ToSchema;

use crate::query::Params;

/// What an event does to its subject, as a change stream of a table has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Change {
    /// The first event of its subject.
    Insert,
    /// Every other.
    Modify,
    /// Its deletion.
    Remove,
}

impl Change {
    /// What this event does.
    fn of(recorded: &Recorded) -> Self {
        match recorded.event.kind() {
            EventType::ProductDeleted | EventType::CustomerDeleted => Self::Remove,
            _ if recorded.version == 1 => Self::Insert,
            _ => Self::Modify,
        }
    }

    /// DynamoDB's streams write these names in capitals.
    fn from_name(name: &str) -> Option<Self> {
        [("insert", Self::Insert), ("modify", Self::Modify), ("remove", Self::Remove)]
            .into_iter()
            .find_map(|(known, change)| name.eq_ignore_ascii_case(known).then_some(change))
    }
}

/// A filter; every condition given must hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct FeedFilter {
    subjects: Vec<SubjectKind>,
    types: Vec<EventType>,
    changes: Vec<Change>,
}

impl FeedFilter {
    /// Events of these types.
    pub fn of_types(types: &[EventType]) -> Self {
        Self { types: types.to_vec(), ..Self::default() }
    }

    /// Reads `subject`, `type` and `change`: each repeated, or separated by commas.
    pub fn from_params(params: &mut Params) -> Self {
        Self {
            subjects: named(params, "subject", SubjectKind::from_name, "must be among order, product, customer, parcel, record"),
            types: named(params, "type", EventType::from_name, "must be the type of an event, such as order.placed"),
            changes: named(params, "change", Change::from_name, "must be among insert, modify, remove"),
        }
    }

    /// Whether nothing is left out.
    pub fn is_everything(&self) -> bool {
        self.subjects.is_empty() && self.types.is_empty() && self.changes.is_empty()
    }

    /// Whether an event is wanted.
    pub fn matches(&self, recorded: &Recorded) -> bool {
        (self.subjects.is_empty() || self.subjects.contains(&recorded.subject.kind()))
            && (self.types.is_empty() || self.types.contains(&recorded.event.kind()))
            && (self.changes.is_empty() || self.changes.contains(&Change::of(recorded)))
    }
}

fn named<T>(params: &mut Params, parameter: &str, read: impl Fn(&str) -> Option<T>, expected: &str) -> Vec<T> {
    let values = params.take_all(parameter);
    let names = values.iter().flat_map(|value| value.split(',')).map(str::trim).filter(|name| !name.is_empty());
    let (mut found, mut is_wrong) = (Vec::new(), false);
    for name in names {
        match read(name) {
            Some(value) => found.push(value),
            None => is_wrong = true,
        }
    }
    if is_wrong {
        params.report(parameter, expected);
    }
    found
}
