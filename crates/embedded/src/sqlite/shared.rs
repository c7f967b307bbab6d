//! What the writer shares with everyone who reads.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ordermill_core::id::{OrderId, ParcelId};
use ordermill_core::policy::Policy;
use ordermill_ports::Clock;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use super::admission::Admission;
use super::catalogue::Catalogue;
use super::codec::Types;
use super::deadlines::Deadlines;
use super::feed::Feed;
use super::health::Health;
use super::memory::Orders;
use super::meters::Meters;
use super::parcels::Parcels;
use super::roles::Roles;
use super::totals::Totals;
use super::watch::Watchers;
use super::writer::lanes::Lanes;

/// Everything in memory. The writer changes it only after a commit; each part has a lock of its own, held for moments.
pub(super) struct Shared {
    pub(super) policy: Policy,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) types: Types,
    pub(super) lanes: Lanes,
    pub(super) admission: Admission,
    pub(super) orders: Orders,
    pub(super) catalogue: RwLock<Catalogue>,
    pub(super) parcels: Parcels,
    pub(super) feed: Feed,
    pub(super) roles: Roles,
    pub(super) deadlines: Mutex<Deadlines>,
    pub(super) watchers: Watchers<OrderId>,
    pub(super) parcel_watchers: Watchers<ParcelId>,
    pub(super) totals: Mutex<Totals>,
    pub(super) mailbox_end: Mutex<Option<u64>>,
    pub(super) health: Health,
    pub(super) meters: Meters,
    /// The writer has ended without being told to. Set before `ended`.
    pub(super) died: AtomicBool,
    /// The writer has ended.
    pub(super) ended: AtomicBool,
    /// Told when it has.
    pub(super) end: Notify,
}
