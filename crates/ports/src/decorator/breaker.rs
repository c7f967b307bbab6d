//! Holds calls back from a provider that is down, so that it can recover and the callers' places are free for others.

mod window;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ordermill_core::input::PaymentAnswer;
use ordermill_core::payment::{PaymentKey, PaymentRequest};
use parking_lot::Mutex;
use tokio::time::Instant;

use self::window::Window;
use crate::payments::{PaymentError, Payments};

/// When a breaker opens and closes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Calls are judged over this time.
    pub window: Duration,
    /// It opens at this share of failures among the calls in the window, in `0.0..=1.0`.
    pub failure_rate: f64,
    /// With fewer calls than this in the window it stays closed: a handful says nothing about the provider.
    pub calls_min: u32,
    /// How long everything is held back before some calls are let through as probes.
    pub open_for: Duration,
    /// Probes that have to succeed, with none failing, before it closes; at most this many are under way at once.
    pub probes: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(10),
            failure_rate: 0.5,
            calls_min: 20,
            open_for: Duration::from_secs(5),
            probes: 3,
        }
    }
}

/// Whether calls go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// All of them.
    Closed,
    /// None.
    Open,
    /// Some, to find out.
    HalfOpen,
}

/// What a call says about the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Well,
    Ill,
    Nothing,
}

/// A breaker around a payment provider.
///
/// It opens on the *share* of failures in a window with a least number of calls, not on failures in a row. What counts:
///
/// - an answer, also a refusal, speaks for the provider;
/// - [`PaymentError::Unavailable`] speaks against it;
/// - [`PaymentError::Timeout`] speaks against it when the request was sent for the first time. Following up a payment whose answer
///   is missing says something about that payment only: one that stays unknown for ever is asked about again and again, and must
///   not close the door to everybody else. So each such payment counts once. Look-ups that time out do not count for that reason.
///
/// A few payments that time out are thereby outvoted by those that work; when half of all new payments time out, the breaker
/// opens, as from here that is a provider that is down.
///
/// It goes by steady time, not by the time of day: a clock that is set back must not hold calls back for longer.
pub struct Breaker<G: ?Sized> {
    inner: Arc<G>,
    gate: Gate,
}

impl Breaker<dyn Payments> {
    /// Puts a breaker around `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Payments>, settings: Settings) -> Self {
        let gate = Gate { settings, inner: Mutex::new(Phase::Closed(Window::new(settings.window, Instant::now()))) };
        Self { inner, gate }
    }

    /// Whether calls go through at present.
    #[must_use]
    pub fn state(&self) -> State {
        match &*self.gate.inner.lock() {
            Phase::Closed(_) => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::HalfOpen { .. } => State::HalfOpen,
        }
    }
}

impl<G: ?Sized> fmt::Debug for Breaker<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker").field("settings", &self.gate.settings).finish_non_exhaustive()
    }
}

#[async_trait]
impl Payments for Breaker<dyn Payments> {
    async fn perform(&self, request: &PaymentRequest) -> Result<PaymentAnswer, PaymentError> {
        let pass = self.gate.enter()?;
        let result = self.inner.perform(request).await;
        pass.leave(sign(&result, request.unresolved), result.as_ref().err());
        result
    }

    async fn look_up(&self, key: &PaymentKey) -> Result<Option<PaymentAnswer>, PaymentError> {
        let pass = self.gate.enter()?;
        let result = self.inner.look_up(key).await;
        pass.leave(sign(&result, true), result.as_ref().err());
        result
    }
}

const fn sign<T>(result: &Result<T, PaymentError>, follow_up: bool) -> Sign {
    match result {
        Ok(_) => Sign::Well,
        Err(PaymentError::Unavailable(_)) => Sign::Ill,
        Err(PaymentError::Timeout) if follow_up => Sign::Nothing,
        Err(PaymentError::Timeout) => Sign::Ill,
        // A breaker further in held the call back.
        Err(PaymentError::BreakerOpen) => Sign::Nothing,
    }
}

#[derive(Debug)]
enum Phase {
    Closed(Window),
    Open {
        since: Instant,
    },
    /// The moment at which it had opened names the round: a probe of an earlier round must not be taken for one of this.
    HalfOpen {
        under_way: u32,
        succeeded: u32,
        round: Instant,
    },
}

struct Gate {
    settings: Settings,
    inner: Mutex<Phase>,
}

/// A call that was let through. Dropped without a word, as when its caller goes away, it says nothing and frees its place.
struct Pass<'a> {
    gate: &'a Gate,
    /// The round of probes it belongs to; `None` for a call of a closed breaker.
    probe: Option<Instant>,
    left: bool,
}

impl Gate {
    fn enter(&self) -> Result<Pass<'_>, PaymentError> {
        let mut phase = self.inner.lock();
        let probe = match &mut *phase {
            Phase::Closed(_) => None,
            Phase::Open { since } => {
                let round = *since;
                if round.elapsed() < self.settings.open_for {
                    return Err(PaymentError::BreakerOpen);
                }
                *phase = Phase::HalfOpen { under_way: 1, succeeded: 0, round };
                tracing::info!("the payment provider is tried again");
                Some(round)
            }
            Phase::HalfOpen { under_way, succeeded, round } => {
                if *under_way + *succeeded >= self.settings.probes.max(1) {
                    return Err(PaymentError::BreakerOpen);
                }
                *under_way += 1;
                Some(*round)
            }
        };
        Ok(Pass { gate: self, probe, left: false })
    }

    fn leave(&self, probe: Option<Instant>, sign: Sign, error: Option<&PaymentError>) {
        let mut phase = self.inner.lock();
        match (&mut *phase, probe) {
            (Phase::Closed(window), None) if sign != Sign::Nothing => {
                let Settings { failure_rate, calls_min, .. } = self.settings;
                let now = Instant::now();
                let (calls, failures) = window.count(now, sign == Sign::Ill);
                if sign == Sign::Ill
                    && calls >= calls_min.max(1)
                    && f64::from(failures) >= failure_rate * f64::from(calls)
                {
                    let reason = error.map(tracing::field::display);
                    tracing::warn!(calls, failures, reason, "the payment provider fails; calls are held back");
                    *phase = Phase::Open { since: now };
                }
            }
            (Phase::HalfOpen { under_way, succeeded, round }, Some(of)) if *round == of => {
                *under_way = under_way.saturating_sub(1);
                match sign {
                    Sign::Nothing => {}
                    Sign::Well => {
                        *succeeded += 1;
                        if *succeeded >= self.settings.probes {
                            tracing::info!("the payment provider works again");
                            *phase = Phase::Closed(Window::new(self.settings.window, Instant::now()));
                        }
                    }
                    Sign::Ill => {
                        tracing::warn!(reason = error.map(tracing::field::display), "the payment provider still fails");
                        *phase = Phase::Open { since: Instant::now() };
                    }
                }
            }
            // A late call of a phase that is over.
            _ => {}
        }
    }
}

impl Pass<'_> {
    fn leave(mut self, sign: Sign, error: Option<&PaymentError>) {
        self.left = true;
        self.gate.leave(self.probe, sign, error);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if !self.left {
            self.gate.leave(self.probe, Sign::Nothing, None);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
