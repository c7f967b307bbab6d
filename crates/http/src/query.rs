//! Query parameters and ids in paths: read strictly, so that a slip of the pen is no silent "everything".

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use ordermill_core::Timestamp;
use ordermill_core::id::{CustomerId, OrderId, ParcelId, ProductId, RecordId};
use ordermill_core::intake::Violation;
use ordermill_core::limits::{PAGE_ENTRIES_DEFAULT, PAGE_ENTRIES_MAX};
use ordermill_ports::queries::Deleted;

use crate::cursor::Cursor;
use crate::error_code::{
    CUSTOMER_NOT_FOUND, DEAD_LETTER_NOT_FOUND, INVALID_QUERY, ORDER_NOT_FOUND, PARCEL_NOT_FOUND, PRODUCT_NOT_FOUND,
    RECORD_NOT_FOUND,
};
use crate::problem::Problem;

/// The parameters of a request, taken one by one; what is left at the end is unknown and refused.
pub(crate) struct Params {
    pairs: Vec<(String, String)>,
    violations: Vec<Violation>,
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::from_query(parts.uri.query()))
    }
}

impl Params {
    /// Reads the text behind the `?`.
    pub fn from_query(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Self { pairs: pairs.into_owned().collect(), violations: Vec::new() }
    }

    /// Every value of a parameter that may be repeated.
    pub fn take_all(&mut self, name: &str) -> Vec<String> {
        let (taken, kept) = std::mem::take(&mut self.pairs).into_iter().partition(|(key, _)| key == name);
        self.pairs = kept;
        let taken: Vec<(String, String)> = taken;
        taken.into_iter().map(|(_, value)| value).collect()
    }

    /// The value of a parameter that may be there once; an empty one counts as left out.
    pub fn take(&mut self, name: &str) -> Option<String> {
        let mut values = self.take_all(name);
        if values.len() > 1 {
            self.report(name, "is given more than once");
        }
        values.pop().filter(|value| !value.is_empty())
    }

    /// The same, read into a type.
    pub fn parse<T>(&mut self, name: &str, read: impl FnOnce(&str) -> Option<T>, expected: &str) -> Option<T> {
        let text = self.take(name)?;
        let value = read(&text);
        if value.is_none() {
            self.report(name, expected);
        }
        value
    }

    /// An instant.
    pub fn time(&mut self, name: &str) -> Option<Timestamp> {
        self.parse(name, |text| text.parse().ok(), "must be an instant such as 2026-01-31T12:00:00Z")
    }

    /// Where a page begins.
    pub fn cursor<C: Cursor>(&mut self) -> Option<C> {
        self.parse("cursor", C::decode, "must be a cursor that this list has given")
    }

    /// Whether what was deleted is wanted, too.
    pub fn deleted(&mut self) -> Deleted {
        match self.parse("deleted", |text| text.parse().ok(), "must be true or false") {
            Some(true) => Deleted::Shown,
            _ => Deleted::Hidden,
        }
    }

    /// Entries in a page.
    pub fn limit(&mut self) -> usize {
        let read = |text: &str| text.parse().ok().filter(|limit| (1..=PAGE_ENTRIES_MAX).contains(limit));
        self.parse("limit", read, &format!("must be from 1 to {PAGE_ENTRIES_MAX}")).unwrap_or(PAGE_ENTRIES_DEFAULT)
    }

    /// Notes what is wrong with a parameter.
    pub fn report(&mut self, name: &str, message: &str) {
        self.violations.push(Violation::new(name, message));
    }

    /// Every violation found, with those of unknown names.
    ///
    /// # Errors
    /// `invalid_query` when there are any.
    pub fn finish(mut self) -> Result<(), Problem> {
        let unknown = self.pairs.into_iter().map(|(name, _)| Violation::new(name, "is not a parameter known here"));
        self.violations.extend(unknown);
        if self.violations.is_empty() { Ok(()) } else { Err(Problem::violations(&INVALID_QUERY, self.violations)) }
    }
}

/// A path that names something of another kind names nothing: 404.
macro_rules! path_ids {
    ($($(#[$meta:meta])* $name:ident($id:ty) = $code:ident, $what:literal;)*) => {$(
        $(#[$meta])*
        pub(crate) struct $name(pub $id);

        impl<S: Send + Sync> FromRequestParts<S> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
                let text = Path::<String>::from_request_parts(parts, state).await;
                let id = text.ok().and_then(|Path(text)| text.parse().ok());
                id.map($name).ok_or_else(|| Problem::new(&$code, concat!("the address does not hold ", $what)))
            }
        }
    )*};
}

path_ids! {
    /// The order named in the path. A text that is no order id names no order.
    OrderPath(OrderId) = ORDER_NOT_FOUND, "the id of an order, such as ord_0198…";
    /// The product named in the path.
    ProductPath(ProductId) = PRODUCT_NOT_FOUND, "a product's id";
    /// The customer named in the path.
    CustomerPath(CustomerId) = CUSTOMER_NOT_FOUND, "a customer's id";
    /// The parcel named in the path.
    ParcelPath(ParcelId) = PARCEL_NOT_FOUND, "a parcel's id";
    /// The record named in the path.
    RecordPath(RecordId) = RECORD_NOT_FOUND, "the id of a record, such as rec_0198…";
    /// The dead letter named in the path.
    DeadLetterPath(u64) = DEAD_LETTER_NOT_FOUND, "the number of a dead letter";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slip_is_reported_at_once() {
        let mut params = Params::from_query(Some("limit=0&from=yesterday&colour=red&q=a&q=b"));
        assert_eq!(params.limit(), PAGE_ENTRIES_DEFAULT);
        assert_eq!(params.time("from"), None);
        assert_eq!(params.take("q").as_deref(), Some("b"));
        let problem = params.finish().expect_err("four things are wrong");
        let fields: Vec<&str> = problem.errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["limit", "from", "q", "colour"]);
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let mut params = Params::from_query(Some("cursor=&limit=7&status=a%2Cb&status=c"));
        assert_eq!(params.cursor::<OrderId>(), None);
        assert_eq!(params.limit(), 7);
        assert_eq!(params.take_all("status"), ["a,b", "c"]);
        assert!(params.finish().is_ok());
    }
}
