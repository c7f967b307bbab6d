//! What an operator may set about the routes of the five systems.

use std::time::Duration;

use ordermill_core::money::Currency;
use ordermill_core::secret::SecretRef;

/// Whether callers of a system's routes have to show a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WireAuth {
    /// Everybody is let in, as the system did.
    #[default]
    None,
    /// A bearer token is asked for.
    Token,
}

/// Settings of the wire routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireSettings {
    /// Order API and order processor: who is let in.
    pub order_api_auth: WireAuth,
    /// Order API and order processor: the currency of `total_price`; products in another are unknown there.
    pub order_api_currency: Currency,
    /// Order API and order processor: how long an order may take before it is called off.
    pub order_api_patience: Duration,
    /// Order API and order processor: how long after the start orders are looked for that a dead process has left without a client. Where
    /// other processes take orders too it is longer than an order may take with them; nothing where this is the only one.
    pub order_api_recovery_after: Duration,
    /// Orchestrator: who is let in.
    pub orchestrator_auth: WireAuth,
    /// Orchestrator: the currency of `price`.
    pub orchestrator_currency: Currency,
    /// Orchestrator: the names under which the order management function is invoked.
    pub orchestrator_functions: Vec<Box<str>>,
    /// Orchestrator: whether an order without a payment method, or with one that cannot be read, is paid by the provider's default:
    /// true only where the provider is the sandbox, which takes every text that is no magic word as `ok`.
    pub free_text_payment_is_ok: bool,
    /// Order tracking: who is let in.
    pub tracking_auth: WireAuth,
    /// Records: where the token of its clients is found; without one nobody is let in.
    pub records_token: Option<SecretRef>,
    /// Records: whether all four fields of a mail have to be there.
    pub records_strict: bool,
}

impl Default for WireSettings {
    fn default() -> Self {
        Self {
            order_api_auth: WireAuth::None,
            order_api_currency: Currency::USD,
            order_api_patience: Duration::from_secs(5),
            order_api_recovery_after: Duration::ZERO,
            orchestrator_auth: WireAuth::None,
            orchestrator_currency: Currency::USD,
            orchestrator_functions: vec!["order-management".into()],
            free_text_payment_is_ok: false,
            tracking_auth: WireAuth::None,
            records_token: None,
            records_strict: false,
        }
    }
}
