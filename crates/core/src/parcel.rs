//! A parcel as its carrier reports it. A fold of its events, apart from any order: parcels of orders we do not know are followed too.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::event::Event;
use crate::id::ParcelId;
use crate::limits::PARCEL_REFUSALS_MAX;

/// Where the parcel is, in the carrier's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParcelStatus {
    /// The carrier has it.
    PickedUp,
    /// On the last mile.
    OutForDelivery,
    /// Something is wrong.
    DeliveryIssue,
    /// Handed over; final.
    Delivered,
}

impl ParcelStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::PickedUp, Self::OutForDelivery, Self::DeliveryIssue, Self::Delivered];

    /// The name in events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PickedUp => "picked_up",
            Self::OutForDelivery => "out_for_delivery",
            Self::DeliveryIssue => "delivery_issue",
            Self::Delivered => "delivered",
        }
    }

    /// The status of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Whether a parcel may move from `from` (`None` = never seen) to this status.
    #[must_use]
    pub const fn may_follow(self, from: Option<Self>) -> bool {
        match from {
            None => true,
            Some(Self::PickedUp) => matches!(self, Self::OutForDelivery | Self::DeliveryIssue),
            Some(Self::OutForDelivery) => matches!(self, Self::DeliveryIssue | Self::Delivered),
            Some(Self::DeliveryIssue) => matches!(self, Self::OutForDelivery | Self::Delivered),
            Some(Self::Delivered) => false,
        }
    }
}

/// The newest instant at which a parcel was seen, with every status it was seen in then: enough to know a move that is handed over
/// again, also one of several in one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LastSeen {
    at: Option<Timestamp>,
    /// One bit per status.
    statuses: u8,
}

impl LastSeen {
    /// Takes a move.
    pub fn see(&mut self, status: ParcelStatus, at: Timestamp) {
        if self.at != Some(at) {
            *self = Self { at: Some(at), statuses: 0 };
        }
        self.statuses |= 1 << status as u8;
    }

    /// Whether this move is an older one, or was taken.
    #[must_use]
    pub fn is_known(&self, status: ParcelStatus, at: Timestamp) -> bool {
        self.at.is_some_and(|newest| at < newest || at == newest && self.statuses & 1 << status as u8 != 0)
    }

    /// When the parcel was seen last.
    #[must_use]
    pub const fn at(&self) -> Option<Timestamp> {
        self.at
    }
}

/// Why a report does not move its parcel and is not taken. It is kept in the parcel's events all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportRefusal {
    /// The parcel is there already, since another time.
    SameStatus,
    /// The parcel was handed over; nothing comes after that.
    AlreadyDelivered,
    /// The carrier's states do not lead there from where the parcel is.
    OutOfOrder,
    /// The parcel has had as many events as one parcel may have. The only refusal that is not kept.
    TooManyEvents,
}

impl ReportRefusal {
    /// The name in events, answers and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SameStatus => "same_status",
            Self::AlreadyDelivered => "already_delivered",
            Self::OutOfOrder => "out_of_order",
            Self::TooManyEvents => "too_many_events",
        }
    }
}

/// What came of one report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The parcel is there now.
    Moved,
    /// The same report came before; nothing has changed.
    Duplicate,
    /// Older than where the parcel is known to be: kept and marked, and the parcel stays where it is.
    Late,
    /// Not possible.
    Refused(ReportRefusal),
}

/// One report that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// Where.
    pub status: ParcelStatus,
    /// When the carrier saw it there.
    pub seen_at: Timestamp,
    /// Whether it came too late to move the parcel.
    pub is_late: bool,
}

/// A parcel at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// What the carrier calls the order: our id of it, the shop's reference, or a name we never heard.
    pub id: ParcelId,
    /// Where it is.
    pub status: ParcelStatus,
    /// When the carrier saw it there.
    pub seen_at: Timestamp,
    /// When the carrier handed it over.
    pub delivered_at: Option<Timestamp>,
    /// Every report that was taken, in the order they came in.
    pub sightings: Vec<Sighting>,
    /// The newest report that was refused, so that the same one again is not kept twice.
    pub last_refused: Option<(ParcelStatus, Timestamp)>,
    /// Reports that were refused and kept.
    pub refused: u32,
    /// Counts its events.
    pub version: u32,
    /// When the first report came in.
    pub created_at: Timestamp,
    /// When the newest event happened.
    pub updated_at: Timestamp,
}

impl Parcel {
    /// Folds the events of one parcel, oldest first. `None` unless the first is `tracking.moved`: a parcel begins with its first report.
    #[must_use]
    pub fn fold<'a>(id: ParcelId, events: impl IntoIterator<Item = (&'a Event, Timestamp)>) -> Option<Self> {
        let mut events = events.into_iter();
        let (first, at) = events.next()?;
        let mut parcel = Self::begin(id, first, at)?;
        for (event, at) in events {
            parcel.evolve(event, at);
        }
        Some(parcel)
    }

    /// The parcel as its first event leaves it; `None` when that is no `tracking.moved`.
    #[must_use]
    pub fn begin(id: ParcelId, event: &Event, at: Timestamp) -> Option<Self> {
        let Event::TrackingMoved(report) = event else { return None };
        let mut parcel = Self {
            id,
            status: report.status,
            seen_at: report.seen_at,
            delivered_at: None,
            sightings: Vec::new(),
            last_refused: None,
            refused: 0,
            version: 0,
            created_at: at,
            updated_at: at,
        };
        parcel.evolve(event, at);
        Some(parcel)
    }

    /// Takes one more event of this parcel. Total: an event of any type is taken.
    pub fn evolve(&mut self, event: &Event, at: Timestamp) {
        self.version += 1;
        self.updated_at = at;
        match event {
            Event::TrackingMoved(report) => {
                self.status = report.status;
                self.seen_at = report.seen_at;
                if report.status == ParcelStatus::Delivered {
                    self.delivered_at = Some(report.seen_at);
                }
                self.sightings.push(Sighting { status: report.status, seen_at: report.seen_at, is_late: false });
            }
            Event::TrackingLate(report) => {
                self.sightings.push(Sighting { status: report.status, seen_at: report.seen_at, is_late: true });
            }
            Event::TrackingRefused(report) => {
                self.last_refused = Some((report.status, report.seen_at));
                self.refused += 1;
            }
            _ => {}
        }
    }

    /// Whether a refused report is kept: not when it is the newest one again, nor when there are as many as one parcel may have. So a
    /// sender that repeats itself cannot use up the events that the way of its parcel needs.
    #[must_use]
    pub fn keeps_refused(&self, status: ParcelStatus, seen_at: Timestamp) -> bool {
        self.last_refused != Some((status, seen_at)) && self.refused < PARCEL_REFUSALS_MAX
    }

    /// Whether this report was taken before.
    #[must_use]
    pub fn has_seen(&self, status: ParcelStatus, seen_at: Timestamp) -> bool {
        self.sightings.iter().any(|sighting| sighting.status == status && sighting.seen_at == seen_at)
    }
}
