//! An installation is taken off its broker, for whoever made one for a while.

use ordermill_core::process::Role;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::time::{Duration, Instant, sleep};

use crate::client::{ANSWER_MAX, Context, configuration};
use crate::error::OpenError;
use crate::options::Options;
use crate::topics::Topics;

/// Between two looks at a group whose members are not gone yet.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Removes the topics of an installation with everything on them, and its consumer groups with what they had read. Its processes have to
/// have ended. What is not there is none to miss.
///
/// # Errors
/// [`OpenError::Url`] when the installation has no prefix, as topics and groups of those names are anybody's; otherwise when the broker does
/// not answer or refuses, which a group with members makes it do: those of a killed process are taken for gone after `session`.
pub async fn remove(options: &Options) -> Result<(), OpenError> {
    if options.prefix.is_empty() {
        return Err(OpenError::Url("only what has a `prefix` of its own is removed".to_owned()));
    }
    let failed = |what| move |source| OpenError::Broker { brokers: options.brokers.clone(), what, source };
    let config = configuration(options).await?;
    let admin: AdminClient<Context> =
        config.create_with_context(Context::new(options)).map_err(failed("the client cannot be set up"))?;
    let topics = Topics::new(options);
    // Both are tried, so that as little as can be is left.
    let topics_removed = remove_topics(&admin, &topics.names(options)).await;
    let readers = Role::ALL.into_iter().filter(|role| !topics.read_by(*role).is_empty());
    let groups: Vec<String> = readers.map(|role| options.group(role.as_str())).collect();
    let groups_removed = remove_groups(&admin, groups, Instant::now() + options.session + ANSWER_MAX).await;
    topics_removed.map_err(failed("topics cannot be removed"))?;
    groups_removed.map_err(failed("consumer groups cannot be removed"))
}

async fn remove_topics(admin: &AdminClient<Context>, names: &[String]) -> Result<(), KafkaError> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for result in admin.delete_topics(&names, &wait()).await? {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
            Err((_, code)) => return Err(KafkaError::AdminOp(code)),
        }
    }
    Ok(())
}

async fn remove_groups(
    admin: &AdminClient<Context>,
    mut groups: Vec<String>,
    deadline: Instant,
) -> Result<(), KafkaError> {
    loop {
        let names: Vec<&str> = groups.iter().map(String::as_str).collect();
        let mut left = Vec::new();
        let mut refused = None;
        for result in admin.delete_groups(&names, &wait()).await? {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::GroupIdNotFound)) => {}
                Err((name, code)) => {
                    left.push(name);
                    refused = Some(code);
                }
            }
        }
        match refused {
            None => return Ok(()),
            Some(code) if Instant::now() >= deadline => return Err(KafkaError::AdminOp(code)),
            // Members that were killed, or a broker that takes the group over just now.
            Some(_) => sleep(LOOK_AGAIN).await,
        }
        groups = left;
    }
}

fn wait() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(ANSWER_MAX)).request_timeout(Some(ANSWER_MAX))
}
