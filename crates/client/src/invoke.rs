//! The invocation of a function, as the AWS SDKs have it.

use reqwest::Method;
use serde_json::Value;

use crate::{Client, Error};

/// The version of the invocation's interface, which is part of its path.
const API_VERSION: &str = "2015-03-31";

impl Client {
    /// Invokes a function with a payload and waits for what it gives back.
    ///
    /// # Errors
    /// [`Error`], also when there is no such function.
    pub async fn invoke(&self, function: &str, payload: Vec<u8>) -> Result<Value, Error> {
        let path = [API_VERSION, "functions", function, "invocations"];
        let request = self.request(Method::POST, &path).header("Content-Type", "application/json").body(payload);
        self.read(request).await.map_err(|error| said(function, error))
    }
}

/// Invocations that fail have a body of their own: `{"Type","Message"}`.
fn said(function: &str, error: Error) -> Error {
    let Error::Unexpected { status, body } = &error else { return error };
    let answer: Option<Value> = serde_json::from_str(body).ok();
    match answer.as_ref().and_then(|answer| answer["Message"].as_str()) {
        Some(message) => {
            Error::NotInvoked { function: function.to_owned(), status: *status, message: message.to_owned() }
        }
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_failed_invocation_says_is_told() {
        let answer = |body: &str| said("f", Error::Unexpected { status: 404, body: body.to_owned() }).to_string();
        let told = answer(r#"{"Type":"User","Message":"Function not found: f"}"#);
        assert_eq!(told, "f was not invoked (404): Function not found: f");
        assert!(answer("<html>").contains("without a problem document"));
        assert!(answer("{}").contains("without a problem document"));
    }
}
