//! Submitting until it is known what came of it, for callers who have no key to ask with later.

use std::time::Duration;

use ordermill_core::input::Input;
use ordermill_ports::{Outcome, Source, SubmitError};
use tokio::time::sleep;

use crate::state::State;

/// Before the next try.
const PAUSE: Duration = Duration::from_millis(100);

/// Submits an input that holds the id of what it makes, so that submitting it again gives the first answer. Once it is not known whether
/// it was committed it is submitted until the ledger says yes or refuses: that it could not commit a later try says nothing of the first.
/// Whoever calls this bounds the time.
///
/// # Errors
/// Why it was not committed: never [`SubmitError::Unknown`].
pub(crate) async fn until_known(state: &State, input: Input) -> Result<Outcome, SubmitError> {
    let mut is_unknown = false;
    loop {
        match state.app.ledger.submit_one(Source::Live, input.clone()).await {
            Err(error) if !matches!(error, SubmitError::Refused(_)) => {
                is_unknown |= matches!(error, SubmitError::Unknown { .. });
                if !is_unknown {
                    return Err(error);
                }
                tracing::warn!(%error, "commit without an answer; asking again");
                sleep(PAUSE).await;
            }
            known => return known,
        }
    }
}
