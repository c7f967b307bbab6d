//! Lists of records, newest first.

use std::sync::Arc;

use ordermill_core::id::RecordId;
use ordermill_core::record::Record;
use ordermill_ports::queries::{Page, RecordFilter};

use super::orders::{Conditions, QUEUE_MAX};
use super::{page, take};
use crate::codec::{self, EVENT_COLUMNS};
use crate::connect::Session;
use crate::error::StoreError;
use crate::read::{fold_records, rows};

/// One page of records, rows and events of one moment.
pub(super) async fn list(
    client: &Session,
    filter: RecordFilter,
    before: Option<RecordId>,
    limit: usize,
) -> Result<Page<Arc<Record>, RecordId>, StoreError> {
    let mut conditions = Conditions::default();
    if let Some(before) = before {
        conditions.compare("id <", before.uuid());
    }
    match filter.stored {
        Some(true) => conditions.add("stored_key IS NOT NULL"),
        Some(false) => conditions.add("stored_key IS NULL"),
        None => {}
    }
    if let Some(from) = filter.from {
        conditions.compare("received_at >=", from);
        if let Ok(made) = from.checked_sub(QUEUE_MAX) {
            conditions.compare("id >=", RecordId::first_at(made).uuid());
        }
    }
    if let Some(to) = filter.to {
        conditions.compare("received_at <", to);
        conditions.compare("id <", RecordId::first_at(to).uuid());
    }
    let rows_max = conditions.param(codec::limit(limit).saturating_add(1));
    let sql = format!(
        "WITH page AS MATERIALIZED (SELECT id FROM records {} ORDER BY id DESC LIMIT {rows_max})
         SELECT e.* FROM page CROSS JOIN LATERAL (SELECT {EVENT_COLUMNS} FROM events
             WHERE subject_kind = 5 AND subject = uuid_send(page.id) ORDER BY version OFFSET 0) AS e
         ORDER BY page.id DESC, e.version",
        conditions.sql()
    );
    let found = fold_records(&rows(client, &sql, &conditions.params()).await?)?;
    let mut ids: Vec<RecordId> = found.keys().copied().collect();
    ids.sort_unstable_by(|a, b| b.cmp(a));
    Ok(page(take(ids, found)?, limit, |record: &Arc<Record>| record.id))
}
