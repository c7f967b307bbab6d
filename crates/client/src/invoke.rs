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
        self.read(request).await
    }
}
