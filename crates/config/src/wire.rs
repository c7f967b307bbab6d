//! `[wire.…]`: the routes of the five systems, and who may call them.

use ordermill_core::money::Currency;
use serde::Deserialize;

use crate::auth::WireAuth;
use crate::period::Period;

/// `[wire]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wire {
    /// Order API and order processor.
    pub order_api: OrderApi,
    /// Orchestrator.
    pub orchestrator: Orchestrator,
    /// Order tracking.
    pub tracking: Tracking,
}

/// `[wire.order_api]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderApi {
    /// Who is let in.
    pub auth: WireAuth,
    /// Of `total_price`.
    pub currency: Currency,
    /// How long an order may take before it is called off.
    pub patience: Period,
}

/// `[wire.orchestrator]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Orchestrator {
    /// Who is let in.
    pub auth: WireAuth,
    /// Of `price`.
    pub currency: Currency,
    /// The names under which the order management function is invoked.
    pub functions: Vec<String>,
}

/// `[wire.tracking]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tracking {
    /// Who is let in.
    pub auth: WireAuth,
}

impl Wire {
    /// Who is let in, by option.
    #[must_use]
    pub const fn auths(&self) -> [(&'static str, WireAuth); 3] {
        [
            ("wire.order_api.auth", self.order_api.auth),
            ("wire.orchestrator.auth", self.orchestrator.auth),
            ("wire.tracking.auth", self.tracking.auth),
        ]
    }
}
