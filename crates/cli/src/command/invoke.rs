//! `ordermill invoke FUNCTION`: invokes a function of the server, as the AWS SDKs do.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Global, ServerArgs, block_on};
use crate::exit::Exit;
use crate::output;

/// Arguments of `invoke`.
#[derive(clap::Args)]
#[command(after_help = "\
The payload of order-management is the order itself:
  {\"transactionId\":\"t-1\",\"customerId\":1,\"customerEmail\":\"ann@example.com\",\"productId\":\"PROD001\",\"quantity\":1,
   \"price\":29,\"transactionTime\":\"2026-01-31T12:00:00\",\"shippingAddress\":\"1 Main St\",\"paymentMethod\":\"card\"}

Printed is what the function gives back. Exit code 0 when its statusCode is 200, 3 when the order was refused (4xx), 1 otherwise.")]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// The function's name, such as order-management
    function: String,
    /// The file with the payload, `-` for standard input
    #[arg(long, value_name = "FILE")]
    payload: PathBuf,
}

/// Invokes.
pub fn run(args: Args, global: &Global) -> Result<Exit> {
    let payload = read(&args.payload)?;
    let client = args.server.client()?;
    let result = block_on(async { Ok(client.invoke(&args.function, payload).await?) })?;
    if global.json {
        output::json(&result)?;
    } else {
        output::line(serde_json::to_string_pretty(&result)?)?;
    }
    Ok(exit_of(&result))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let mut payload = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut payload).map(|_| payload)
    } else {
        std::fs::read(path)
    };
    // Sent as it is: what a function says of a payload that is no JSON is part of its contract.
    read.with_context(|| format!("{} cannot be read", path.display()))
}

/// A function that failed as a whole gives back `errorMessage` and no `statusCode`.
fn exit_of(result: &Value) -> Exit {
    match result.get("statusCode").and_then(Value::as_u64) {
        Some(200) => Exit::Ok,
        Some(400..=499) => Exit::Refused,
        _ => Exit::Failure,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_exit_code_follows_the_status() {
        assert_eq!(exit_of(&json!({ "statusCode": 200, "body": "Order processed successfully" })), Exit::Ok);
        assert_eq!(exit_of(&json!({ "statusCode": 400, "body": "Invalid order data" })), Exit::Refused);
        assert_eq!(exit_of(&json!({ "statusCode": 500, "body": "Error processing order" })), Exit::Failure);
        assert_eq!(exit_of(&json!({ "errorMessage": "Task timed out" })), Exit::Failure);
    }
}
