//! Every error code of the interface: its status, its title, and its page in `docs/errors`.

use http::StatusCode;
use ordermill_core::refusal::Refusal;

/// One kind of problem. Codes are stable: clients branch on them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ErrorCode {
    /// The last part of the problem type.
    pub code: &'static str,
    /// The HTTP status.
    pub status: StatusCode,
    /// The same for every occurrence.
    pub title: &'static str,
    /// Meaning, cause, remedy and an example, in Markdown.
    pub page: &'static str,
}

macro_rules! error_codes {
    ($($name:ident = $code:literal, $status:ident, $title:literal;)*) => {
        $(pub(crate) static $name: ErrorCode = ErrorCode {
            code: $code,
            status: StatusCode::$status,
            title: $title,
            page: include_str!(concat!("../../../docs/errors/", $code, ".md")),
        };)*

        /// Every code, in the order of the status.
        pub(crate) static ALL: &[&ErrorCode] = &[$(&$name,)*];
    };
}

error_codes! {
    MALFORMED_JSON = "malformed_json", BAD_REQUEST, "The body is not JSON";
    TOO_DEEP = "too_deep", BAD_REQUEST, "The JSON is nested too deeply";
    INVALID_QUERY = "invalid_query", BAD_REQUEST, "A query parameter is not valid";
    IDEMPOTENCY_KEY_INVALID = "idempotency_key_invalid", BAD_REQUEST, "The idempotency key is not valid";
    BODY_UNREADABLE = "body_unreadable", BAD_REQUEST, "The body could not be read";
    UNAUTHENTICATED = "unauthenticated", UNAUTHORIZED, "A valid bearer token is needed";
    FORBIDDEN = "forbidden", FORBIDDEN, "The token does not allow this";
    MALFORMED_XML = "malformed_xml", BAD_REQUEST, "The body is not XML that is taken here";
    INVALID_TRACKING = "invalid_tracking", BAD_REQUEST, "The tracking events are not valid";
    NOT_FOUND = "not_found", NOT_FOUND, "There is nothing at this address";
    ORDER_NOT_FOUND = "order_not_found", NOT_FOUND, "There is no such order";
    PRODUCT_NOT_FOUND = "product_not_found", NOT_FOUND, "There is no such product";
    CUSTOMER_NOT_FOUND = "customer_not_found", NOT_FOUND, "There is no such customer";
    RECORD_NOT_FOUND = "record_not_found", NOT_FOUND, "There is no such record";
    PARCEL_NOT_FOUND = "parcel_not_found", NOT_FOUND, "There is no such parcel";
    CHANNEL_NOT_FOUND = "channel_not_found", NOT_FOUND, "There is no such channel";
    DEAD_LETTER_NOT_FOUND = "dead_letter_not_found", NOT_FOUND, "There is no such dead letter";
    METHOD_NOT_ALLOWED = "method_not_allowed", METHOD_NOT_ALLOWED, "The method is not possible here";
    REQUEST_TIMEOUT = "request_timeout", REQUEST_TIMEOUT, "The request came too slowly";
    ORDER_REF_TAKEN = "order_ref_taken", CONFLICT, "The order reference belongs to another order";
    NOT_CANCELLABLE = "not_cancellable", CONFLICT, "The order cannot be cancelled any more";
    NO_ATTENTION = "no_attention", CONFLICT, "The order does not wait for attention";
    NOT_RESOLVABLE = "not_resolvable", CONFLICT, "The order cannot be left as it is";
    REFUND_TOO_LARGE = "refund_too_large", CONFLICT, "More was asked back than is left";
    TOO_MANY_REFUNDS = "too_many_refunds", CONFLICT, "The order has had too many refunds";
    RETURN_TOO_LARGE = "return_too_large", CONFLICT, "More came back than is out";
    NOT_RETURNABLE = "not_returnable", CONFLICT, "Nothing of the order can be returned";
    STOCK_OUT_OF_RANGE = "stock_out_of_range", CONFLICT, "The stock cannot be changed like this";
    PARCEL_OUT_OF_ORDER = "parcel_out_of_order", CONFLICT, "The parcel cannot move on like this";
    TOO_MANY_EVENTS = "too_many_events", CONFLICT, "The order has had too many events";
    VERSION_CONFLICT = "version_conflict", PRECONDITION_FAILED, "It has changed since it was read";
    BODY_TOO_LARGE = "body_too_large", PAYLOAD_TOO_LARGE, "The body is too large";
    TOO_MANY_REPORTS = "too_many_reports", PAYLOAD_TOO_LARGE, "There are too many reports in one request";
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The body is of a type not taken here";
    INVALID_ORDER = "invalid_order", UNPROCESSABLE_ENTITY, "The order is not valid";
    INVALID_REQUEST = "invalid_request", UNPROCESSABLE_ENTITY, "The request is not valid";
    UNKNOWN_PRODUCT = "unknown_product", UNPROCESSABLE_ENTITY, "The order names an unknown product";
    PRICE_CHANGED = "price_changed", UNPROCESSABLE_ENTITY, "The price is not the catalogue's";
    MIXED_CURRENCIES = "mixed_currencies", UNPROCESSABLE_ENTITY, "The lines are in different currencies";
    TOTAL_TOO_LARGE = "total_too_large", UNPROCESSABLE_ENTITY, "The total is too large";
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused", UNPROCESSABLE_ENTITY, "The idempotency key was used for another request";
    HEADERS_TOO_LARGE = "headers_too_large", REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are too large";
    INTERNAL = "internal", INTERNAL_SERVER_ERROR, "Something went wrong here";
    OVERLOADED = "overloaded", SERVICE_UNAVAILABLE, "Too much is under way";
    NOT_COMMITTED = "not_committed", SERVICE_UNAVAILABLE, "It could not be stored";
    OUTCOME_UNKNOWN = "outcome_unknown", SERVICE_UNAVAILABLE, "It is not known whether it was done";
    UNAVAILABLE = "unavailable", SERVICE_UNAVAILABLE, "The ledger cannot be read at present";
    AUTH_UNAVAILABLE = "auth_unavailable", SERVICE_UNAVAILABLE, "Tokens cannot be checked at present";
    NOT_READY = "not_ready", SERVICE_UNAVAILABLE, "The server is not ready";
    CLOSING = "closing", SERVICE_UNAVAILABLE, "The server is shutting down";
}

/// The code of this name.
pub(crate) fn find(code: &str) -> Option<&'static ErrorCode> {
    ALL.iter().copied().find(|entry| entry.code == code)
}

/// The code of a refusal.
pub(crate) const fn of_refusal(refusal: &Refusal) -> &'static ErrorCode {
    match refusal {
        Refusal::UnknownProduct { .. } => &UNKNOWN_PRODUCT,
        Refusal::PriceChanged { .. } => &PRICE_CHANGED,
        Refusal::MixedCurrencies { .. } => &MIXED_CURRENCIES,
        Refusal::TotalTooLarge { .. } => &TOTAL_TOO_LARGE,
        Refusal::OrderRefTaken { .. } => &ORDER_REF_TAKEN,
        Refusal::IdempotencyKeyReused => &IDEMPOTENCY_KEY_REUSED,
        Refusal::OrderNotFound { .. } => &ORDER_NOT_FOUND,
        Refusal::ProductNotFound { .. } => &PRODUCT_NOT_FOUND,
        Refusal::CustomerNotFound { .. } => &CUSTOMER_NOT_FOUND,
        Refusal::RecordNotFound { .. } => &RECORD_NOT_FOUND,
        Refusal::NotCancellable { .. } => &NOT_CANCELLABLE,
        Refusal::NoAttention => &NO_ATTENTION,
        Refusal::NotResolvable { .. } => &NOT_RESOLVABLE,
        Refusal::RefundTooLarge { .. } => &REFUND_TOO_LARGE,
        Refusal::TooManyRefunds => &TOO_MANY_REFUNDS,
        Refusal::ReturnTooLarge { .. } => &RETURN_TOO_LARGE,
        Refusal::NotReturnable { .. } => &NOT_RETURNABLE,
        Refusal::StockOutOfRange { .. } => &STOCK_OUT_OF_RANGE,
        Refusal::VersionConflict { .. } => &VERSION_CONFLICT,
        Refusal::ParcelOutOfOrder => &PARCEL_OUT_OF_ORDER,
        Refusal::TooManyEvents => &TOO_MANY_EVENTS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_there_once_with_a_whole_page() {
        for entry in ALL {
            assert_eq!(ALL.iter().filter(|other| other.code == entry.code).count(), 1, "{}", entry.code);
            assert!(entry.page.starts_with(&format!("# {}\n", entry.code)), "{}", entry.code);
            for section in ["**Status:**", "## Meaning", "## Cause", "## Remedy", "## Example"] {
                assert!(entry.page.contains(section), "{} has no {section}", entry.code);
            }
            assert!(entry.page.contains(&format!("**Status:** {}", entry.status.as_u16())), "{}", entry.code);
            assert!(entry.page.contains(&format!("\"/errors/{}\"", entry.code)), "{}", entry.code);
        }
    }

    #[test]
    fn every_page_has_its_code() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors");
        for page in std::fs::read_dir(folder).expect("the folder is there") {
            let path = page.expect("a page can be read").path();
            let code = path.file_stem().and_then(|stem| stem.to_str()).expect("names are plain");
            assert!(code == "README" || find(code).is_some(), "{code}.md has no code");
        }
    }

    #[test]
    fn refusals_keep_their_names() {
        use ordermill_core::order::Status;
        let samples = [
            Refusal::IdempotencyKeyReused,
            Refusal::NoAttention,
            Refusal::TooManyRefunds,
            Refusal::ParcelOutOfOrder,
            Refusal::TooManyEvents,
            Refusal::TotalTooLarge { line: 0 },
            Refusal::NotCancellable { status: Status::Shipped },
            Refusal::NotResolvable { status: Status::Placed },
            Refusal::NotReturnable { status: Status::Placed },
            Refusal::VersionConflict { expected: 1, actual: 2 },
            Refusal::StockOutOfRange { available: 1, delta: -2 },
        ];
        for refusal in samples {
            assert_eq!(of_refusal(&refusal).code, refusal.code());
        }
    }
}
