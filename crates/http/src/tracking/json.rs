//! A batch in JSON: `{"<list>": [{"<id>", "<status>", "<instant>"}]}`, read in one pass into what borrows from the body.
//!
//! The three values of a report are kept as they are written: a number keeps all its digits, and what is wrong with one is said by its
//! place in the batch, for all of them at once.

use std::fmt;
use std::marker::PhantomData;

use ordermill_core::limits::TRACKING_REPORTS_MAX;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::json;
use crate::problem::Problem;
use crate::tracking::draft::{Batch, Dialect, Draft, Field};

/// One of the two addresses, as a type.
pub(crate) trait Speaks {
    /// What it calls things.
    const DIALECT: &'static Dialect;
}

/// Reads a batch. A dialect that is lenient passes over fields it does not know.
///
/// # Errors
/// The problem to answer with.
pub(crate) fn read<D: Speaks>(bytes: &[u8]) -> Result<Batch<'_>, Problem> {
    json::parse::<Envelope<'_, D>>(bytes, D::DIALECT.invalid).map(|envelope| envelope.batch)
}

/// The object round the list.
struct Envelope<'a, D> {
    batch: Batch<'a>,
    dialect: PhantomData<D>,
}

/// The list, before it is known whose.
struct List<'a, D>(Batch<'a>, PhantomData<D>);

/// One report, before it is known whose.
struct Report<'a, D>(Draft<'a>, PhantomData<D>);

/// A key of the object or of a report.
struct Key<D>(Option<Known>, PhantomData<D>);

#[derive(Clone, Copy)]
enum Known {
    List,
    Id,
    Status,
    SeenAt,
}

/// Reads one of the four types above.
struct Reading<T>(PhantomData<T>);

impl<'de, D: Speaks> Deserialize<'de> for Envelope<'de, D> {
    fn deserialize<S: Deserializer<'de>>(deserializer: S) -> Result<Self, S::Error> {
        deserializer.deserialize_map(Reading::<Self>(PhantomData))
    }
}

impl<'de, D: Speaks> Visitor<'de> for Reading<Envelope<'de, D>> {
    type Value = Envelope<'de, D>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a list of reports")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let name = D::DIALECT.list;
        let mut batch = None;
        while let Some(Key(known, _)) = map.next_key::<Key<D>>()? {
            match known {
                Some(Known::List) if batch.is_some() => return Err(A::Error::duplicate_field(name)),
                Some(Known::List) => batch = Some(map.next_value::<List<'de, D>>()?.0),
                _ => map.next_value::<IgnoredAny>().map(drop)?,
            }
        }
        let batch = batch.ok_or_else(|| A::Error::missing_field(name))?;
        Ok(Envelope { batch, dialect: PhantomData })
    }
}

impl<'de, D: Speaks> Deserialize<'de> for List<'de, D> {
    fn deserialize<S: Deserializer<'de>>(deserializer: S) -> Result<Self, S::Error> {
        deserializer.deserialize_seq(Reading::<Self>(PhantomData))
    }
}

impl<'de, D: Speaks> Visitor<'de> for Reading<List<'de, D>> {
    type Value = List<'de, D>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of reports")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut kept = Vec::with_capacity(128);
        while kept.len() < TRACKING_REPORTS_MAX {
            match list.next_element::<Report<'de, D>>()? {
                Some(Report(draft, _)) => kept.push(draft),
                None => return Ok(List(Batch { found: kept.len(), kept }, PhantomData)),
            }
        }
        let mut found = kept.len();
        while list.next_element::<IgnoredAny>()?.is_some() {
            found += 1;
        }
        Ok(List(Batch { found, kept }, PhantomData))
    }
}

impl<'de, D: Speaks> Deserialize<'de> for Report<'de, D> {
    fn deserialize<S: Deserializer<'de>>(deserializer: S) -> Result<Self, S::Error> {
        deserializer.deserialize_map(Reading::<Self>(PhantomData))
    }
}

impl<'de, D: Speaks> Visitor<'de> for Reading<Report<'de, D>> {
    type Value = Report<'de, D>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a report")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Dialect { id, status, seen_at, .. } = D::DIALECT;
        let (mut ids, mut statuses, mut instants) = (None, None, None);
        while let Some(Key(known, _)) = map.next_key::<Key<D>>()? {
            let (slot, name) = match known {
                Some(Known::Id) => (&mut ids, *id),
                Some(Known::Status) => (&mut statuses, *status),
                Some(Known::SeenAt) => (&mut instants, *seen_at),
                Some(Known::List) | None => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if slot.replace(map.next_value::<Option<&'de RawValue>>()?).is_some() {
                return Err(A::Error::duplicate_field(name));
            }
        }
        let field = |value: Option<Option<&'de RawValue>>| Field::from(value.flatten());
        let draft = Draft { id: field(ids), status: field(statuses), seen_at: field(instants) };
        Ok(Report(draft, PhantomData))
    }
}

impl<'de, D: Speaks> Deserialize<'de> for Key<D> {
    fn deserialize<S: Deserializer<'de>>(deserializer: S) -> Result<Self, S::Error> {
        deserializer.deserialize_identifier(Reading::<Self>(PhantomData))
    }
}

impl<D: Speaks> Visitor<'_> for Reading<Key<D>> {
    type Value = Key<D>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Key<D>, E> {
        let dialect = D::DIALECT;
        let known = match name {
            _ if name == dialect.id => Some(Known::Id),
            _ if name == dialect.status => Some(Known::Status),
            _ if name == dialect.seen_at => Some(Known::SeenAt),
            _ if name == dialect.list => Some(Known::List),
            _ if dialect.lenient => None,
            _ => return Err(E::unknown_field(name, &[])),
        };
        Ok(Key(known, PhantomData))
    }
}
