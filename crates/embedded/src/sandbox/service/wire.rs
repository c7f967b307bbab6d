//! What gateway and server say to each other.

use ordermill_core::id::{PaymentMethod, ProviderRef};
use ordermill_core::input::PaymentAnswer;
use ordermill_core::money::Money;
use ordermill_core::payment::{DeclineReason, PaymentKey, PaymentRequest};
use ordermill_ports::payments::PaymentError;
use serde::{Deserialize, Serialize};

use super::super::Call;

/// Calls in one request, at most.
pub(super) const CALLS_MAX: usize = 512;

/// Bytes of a request, at most. A call has texts of up to 128 characters, so that [`CALLS_MAX`] of the longest fit.
pub(super) const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// One call of a request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum WireCall {
    Perform(WireRequest),
    LookUp(PaymentKey),
}

/// A request to carry out.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireRequest {
    key: PaymentKey,
    amount: Money,
    method: PaymentMethod,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    authorization: Option<ProviderRef>,
}

impl From<Call> for WireCall {
    fn from(call: Call) -> Self {
        match call {
            // Whether it was sent before changes nothing for a provider that keeps every answer.
            Call::Perform(PaymentRequest { key, amount, method, authorization, unresolved: _ }) => {
                Self::Perform(WireRequest { key, amount, method, authorization })
            }
            Call::LookUp(key) => Self::LookUp(key),
        }
    }
}

impl From<WireCall> for Call {
    fn from(call: WireCall) -> Self {
        match call {
            WireCall::Perform(WireRequest { key, amount, method, authorization }) => {
                Self::Perform(PaymentRequest { key, amount, method, authorization, unresolved: false })
            }
            WireCall::LookUp(key) => Self::LookUp(key),
        }
    }
}

/// One line of an answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Line {
    /// Which call of the request, counted from 0.
    pub call: usize,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What a call was told.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(super) enum Outcome {
    Succeeded {
        provider_ref: ProviderRef,
    },
    Refused {
        reason: DeclineReason,
    },
    /// A look-up found nothing.
    NotFound,
    /// There is an answer, or there will never be one; it is not told.
    NoAnswer,
    Unavailable {
        problem: String,
    },
}

/// Why a request was not taken.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Refusal {
    pub error: String,
}

impl From<Result<Option<PaymentAnswer>, PaymentError>> for Outcome {
    fn from(answer: Result<Option<PaymentAnswer>, PaymentError>) -> Self {
        match answer {
            Ok(Some(PaymentAnswer::Succeeded { provider_ref })) => Self::Succeeded { provider_ref },
            Ok(Some(PaymentAnswer::Refused { reason })) => Self::Refused { reason },
            Ok(None) => Self::NotFound,
            Ok(Some(PaymentAnswer::Unknown)) | Err(PaymentError::Timeout) => Self::NoAnswer,
            Err(PaymentError::Unavailable(problem)) => Self::Unavailable { problem },
            Err(error @ PaymentError::BreakerOpen) => Self::Unavailable { problem: error.to_string() },
        }
    }
}

impl From<Outcome> for Result<Option<PaymentAnswer>, PaymentError> {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Succeeded { provider_ref } => Ok(Some(PaymentAnswer::Succeeded { provider_ref })),
            Outcome::Refused { reason } => Ok(Some(PaymentAnswer::Refused { reason })),
            Outcome::NotFound => Ok(None),
            Outcome::NoAnswer => Err(PaymentError::Timeout),
            Outcome::Unavailable { problem } => Err(PaymentError::Unavailable(problem)),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use ordermill_core::id::OrderId;
    use ordermill_core::money::Currency;
    use ordermill_core::payment::{OperationId, OperationKind};

    use super::*;

    #[test]
    fn calls_and_answers_read_as_they_are_written() {
        let order_id = OrderId::from_bytes([1; 16]);
        let key =
            PaymentKey { order_id, operation: OperationId { kind: OperationKind::Capture, number: 2 }, attempt: 3 };
        let request = PaymentRequest {
            key,
            amount: Money { amount_minor: -5, currency: Currency::EUR },
            method: PaymentMethod::new("ok").unwrap(),
            authorization: Some(ProviderRef::new("sbx_1").unwrap()),
            unresolved: true,
        };
        let text = serde_json::to_string(&WireCall::from(Call::Perform(request.clone()))).unwrap();
        let hex = "01".repeat(16);
        let expected = format!(
            r#"{{"perform":{{"key":{{"order_id":"ord_{hex}","operation":"capture-2","attempt":3}},"amount":{{"amount_minor":-5,"currency":"EUR"}},"method":"ok","authorization":"sbx_1"}}}}"#
        );
        assert_eq!(text, expected);
        let Call::Perform(read) = serde_json::from_str::<WireCall>(&text).unwrap().into() else { panic!("a request") };
        assert_eq!((read.key, read.amount, &read.method), (key, request.amount, &request.method));
        assert_eq!(read.authorization, request.authorization);

        for answer in [
            Ok(Some(PaymentAnswer::Refused { reason: DeclineReason::AlreadyCaptured })),
            Ok(Some(PaymentAnswer::Succeeded { provider_ref: ProviderRef::new("sbx_1").unwrap() })),
            Ok(None),
            Err(PaymentError::Timeout),
            Err(PaymentError::Unavailable("the disk is full".to_owned())),
        ] {
            let line = Line { call: 7, outcome: answer.clone().into() };
            let line: Line = serde_json::from_str(&serde_json::to_string(&line).unwrap()).unwrap();
            assert_eq!((line.call, Result::from(line.outcome)), (7, answer));
        }
    }
}
