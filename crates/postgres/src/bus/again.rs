//! What is published again when the server has lost commits.
//!
//! A broker holds that a delivery is done when its role has said so. Where the server has lost what the role committed then, as a standby may
//! that takes over, no broker would ever bring it again. So the relay goes back a little: what was done is found done, and the rest is done.

use std::time::Duration;

use ordermill_core::process::Role;

use super::Bus;
use crate::connect::Session;
use crate::error::StoreError;
use crate::read::execute;

/// How far the relay goes back, by the time of events. A step is lost with its outcome when its event is there and the outcome is not: so this is how
/// far behind a role may have been, and not the standby.
const BACK: Duration = Duration::from_secs(300);

/// Whoever publishes loses its leases: what it has in hand moves no cursor on.
const GO_BACK: &str = "
    WITH newest AS (SELECT at FROM events ORDER BY position DESC LIMIT 1),
         start AS (SELECT e.position FROM events AS e, newest
                   WHERE e.at < newest.at - make_interval(secs => $2) ORDER BY e.position DESC LIMIT 1),
         held AS (SELECT partition FROM leases WHERE role = $1 ORDER BY partition FOR NO KEY UPDATE)
    UPDATE leases AS l
    SET owner = NULL, until = '-infinity', token = l.token + 1,
        position = least(l.position, coalesce((SELECT position FROM start), 0))
    FROM held WHERE l.role = $1 AND l.partition = held.partition";

/// Has the newest events published again, where a broker carries them. Each process does so that finds commits lost: until then it takes a step
/// that is done again for the one that it has dealt with.
pub(crate) async fn publish_again(bus: &Bus, client: &Session) -> Result<(), StoreError> {
    if bus.seat(Role::Relay).kinds != 0 {
        execute(client, GO_BACK, &[&Role::Relay.as_str(), &BACK.as_secs_f64()]).await?;
    }
    Ok(())
}
