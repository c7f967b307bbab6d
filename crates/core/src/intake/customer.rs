//! Customers as they come from outside.

use serde::Deserialize;
use serde_json::Value;

use super::{Checks, Violation};
use crate::id::CustomerId;
use crate::input::PutCustomer;
use crate::mail::Email;

/// A customer as a caller sends it. Its id is in the path; one in the body must agree with it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomerDraft {
    /// The id, also as `user_id`.
    #[serde(default, alias = "user_id")]
    pub customer_id: Option<String>,
    /// Required.
    pub name: String,
    /// Where mails go.
    #[serde(default)]
    pub email: Option<String>,
    /// A text or an object.
    #[serde(default)]
    pub address: Option<Value>,
    /// An object of the shop's own.
    #[serde(default)]
    pub metadata: Option<Value>,
}

impl CustomerDraft {
    /// Checks a customer; `path_id` is the id in the path.
    ///
    /// # Errors
    /// Every violation found, in the order of the fields.
    pub fn check(self, path_id: &str, expected_version: Option<u64>) -> Result<PutCustomer, Vec<Violation>> {
        let mut checks = Checks::default();
        if self.customer_id.is_some_and(|id| id != path_id) {
            checks.report("customer_id", "must be the id in the path, or left out");
        }
        let customer_id = checks.parse("customer_id", path_id.parse::<CustomerId>());
        checks.text("name", &self.name);
        let email = checks.optional("email", self.email.as_deref(), Email::new);
        checks.address("address", self.address.as_ref());
        checks.object("metadata", self.metadata.as_ref());
        let customer = customer_id.map(|customer_id| PutCustomer {
            customer_id,
            name: self.name.into(),
            email,
            address: self.address,
            metadata: self.metadata,
            expected_version,
        });
        checks.finish(customer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) -> Result<PutCustomer, Vec<String>> {
        let draft: CustomerDraft = serde_json::from_str(json).expect("it has the shape");
        let checked = draft.check("c-1", Some(3));
        checked.map_err(|violations| violations.into_iter().map(|violation| violation.field).collect())
    }

    #[test]
    fn a_customer_is_taken_with_all_its_fields() {
        let json = r#"{"user_id":"c-1","name":"A","email":"a@example.com","address":{"city":"B"},"metadata":{"k":1}}"#;
        let customer = check(json).expect("it is valid");
        assert_eq!((customer.customer_id.as_str(), &*customer.name, customer.expected_version), ("c-1", "A", Some(3)));
        assert!(customer.email.is_some() && customer.address.is_some() && customer.metadata.is_some());
        assert!(check(r#"{"name":"A"}"#).is_ok());
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let json = r#"{"customer_id":"c-2","name":" ","email":"nobody","address":[1],"metadata":"x"}"#;
        assert_eq!(check(json).expect_err("nothing is right"), ["customer_id", "name", "email", "address", "metadata"]);
    }
}
