//! Lists of parcels, those first reported last first.

use std::sync::Arc;

use ordermill_core::id::ParcelId;
use ordermill_core::parcel::{Parcel, ParcelStatus};
use ordermill_ports::queries::{Page, Position};

use super::orders::Conditions;
use super::page;
use crate::codec::{self, EVENT_COLUMNS, get, int, natural, parse_id};
use crate::connect::Session;
use crate::error::StoreError;
use crate::read::{fold_parcels, rows};

/// One page of parcels, rows and events of one moment.
pub(super) async fn list(
    client: &Session,
    statuses: &[ParcelStatus],
    before: Option<Position>,
    limit: usize,
) -> Result<Page<Arc<Parcel>, Position>, StoreError> {
    let mut conditions = Conditions::default();
    if !statuses.is_empty() {
        let statuses: Vec<&'static str> = statuses.iter().map(|status| status.as_str()).collect();
        let statuses = conditions.param(statuses);
        conditions.add(&format!("status = ANY({statuses})"));
    }
    if let Some(before) = before {
        conditions.compare("first <", int(before.0));
    }
    let rows_max = conditions.param(codec::limit(limit).saturating_add(1));
    let sql = format!(
        "WITH page AS MATERIALIZED (SELECT id, first FROM parcels {} ORDER BY first DESC LIMIT {rows_max})
         SELECT e.*, page.id, page.first FROM page CROSS JOIN LATERAL (SELECT {EVENT_COLUMNS} FROM events
             WHERE subject_kind = 4 AND subject = convert_to(page.id, 'UTF8') ORDER BY version OFFSET 0) AS e
         ORDER BY page.first DESC, e.version",
        conditions.sql()
    );
    let rows = rows(client, &sql, &conditions.params()).await?;
    let mut found = fold_parcels(&rows)?;
    let mut parcels: Vec<(u64, Arc<Parcel>)> = Vec::new();
    for row in &rows {
        // What follows the event's own columns.
        let id: ParcelId = parse_id(get(row, 8)?)?;
        if let Some(parcel) = found.remove(&id) {
            parcels.push((natural(get(row, 9)?), parcel.map_err(StoreError::Unreadable)?));
        }
    }
    let Page { entries, next } = page(parcels, limit, |(first, _)| Position(*first));
    Ok(Page { entries: entries.into_iter().map(|(_, parcel)| parcel).collect(), next })
}
