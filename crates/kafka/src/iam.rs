//! Tokens for Amazon MSK: the machine's role at AWS, signed.
//!
//! The client asks for a token on a thread of its own that must not wait for long, and the signer asks AWS for credentials over the network.
//! So it signs on another thread, with a runtime of its own, and within a time limit: on the runtime of the program it could wait for
//! itself.

use std::error::Error;
use std::sync::mpsc;
use std::time::Duration;

use aws_msk_iam_sasl_signer::generate_auth_token;
use aws_types::region::Region;
use rdkafka::client::OAuthToken;

/// How long signing may take, credentials included.
const SIGN_MAX: Duration = Duration::from_secs(10);

/// A token for this region. The client asks again before it runs out.
pub(crate) fn token(region: &str) -> Result<OAuthToken, Box<dyn Error>> {
    let (answer, answered) = mpsc::sync_channel(1);
    let region = Region::new(region.to_owned());
    std::thread::Builder::new().name("msk-iam".to_owned()).spawn(move || {
        // Nobody listens any more where it took too long.
        let _ = answer.send(sign(region));
    })?;
    // A little more than the signer has, so that its own words are heard.
    let (token, lifetime_ms) = answered.recv_timeout(SIGN_MAX + Duration::from_secs(1)).map_err(|_| TOO_LONG)??;
    Ok(OAuthToken { token, principal_name: String::new(), lifetime_ms })
}

const TOO_LONG: &str = "no token for Amazon MSK was signed in time";

fn sign(region: Region) -> Result<(String, i64), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let signed = runtime.block_on(async { tokio::time::timeout(SIGN_MAX, generate_auth_token(region)).await });
    signed.map_err(|_| TOO_LONG.to_owned())?.map_err(|error| error.to_string())
}
