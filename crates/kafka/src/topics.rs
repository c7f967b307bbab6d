//! The topics: one for each channel, created when they are missing and checked when they are there.

use std::collections::BTreeMap;

use ordermill_core::channel::{self, Channel};
use ordermill_core::event::EventType;
use ordermill_core::process::Role;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;

use crate::client::{ANSWER_MAX, Context};
use crate::error::OpenError;
use crate::options::{Options, Sasl};
use crate::reach;

/// The option of a topic that says how many copies have to be written.
const MIN_ISR: &str = "min.insync.replicas";
/// And how long messages are kept.
const RETENTION: &str = "retention.ms";

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Topic {
    /// Its channel.
    pub(crate) channel: &'static Channel,
    /// Its name at the broker.
    pub(crate) name: String,
    /// Where messages go that nobody can read, and copies of what roles gave up.
    pub(crate) dead_letters: String,
}

/// All topics of an installation.
#[derive(Debug, Clone)]
pub(crate) struct Topics(Vec<Topic>);

impl Topics {
    pub(crate) fn new(options: &Options) -> Self {
        let topic = |channel: &'static Channel| {
            let name = options.topic(channel.name);
            Topic { channel, dead_letters: format!("{name}.dlt"), name }
        };
        Self(channel::TABLE.iter().map(topic).collect())
    }

    /// The topics that events of this type are published on.
    pub(crate) fn of(&self, kind: EventType) -> impl Iterator<Item = &Topic> {
        self.0.iter().filter(move |topic| topic.channel.carries(kind))
    }

    /// The topics that a role reads.
    pub(crate) fn read_by(&self, role: Role) -> Vec<Topic> {
        self.0.iter().filter(|topic| topic.channel.consumers().any(|reader| reader == role)).cloned().collect()
    }

    /// The names of all of them at the broker, those of dead letters included.
    pub(crate) fn names(&self, options: &Options) -> Vec<String> {
        self.plans(options).into_iter().map(|plan| plan.name).collect()
    }

    /// Creates what is missing, and checks what is there.
    ///
    /// # Errors
    /// When the broker does not answer or refuses, or a topic would keep less than it should.
    pub(crate) async fn provide(&self, options: &Options, config: &ClientConfig) -> Result<(), OpenError> {
        let failed = |what| move |source| OpenError::Broker { brokers: options.brokers.clone(), what, source };
        let metadata = tokio::task::block_in_place(|| reach::meet(options, config))?;
        let plans = self.plans(options);
        let there = partitions(&metadata);
        let (known, missing): (Vec<_>, Vec<_>) = plans.iter().partition(|plan| there.contains_key(plan.name.as_str()));
        // The client's administrator has no way to a token.
        let is_administrator = options.sasl != Some(Sasl::MskIam);
        if !is_administrator {
            refuse_missing(&missing)?;
        }
        refuse_copies(options, &metadata, &missing)?;
        let admin: AdminClient<Context> =
            config.create_with_context(Context::new(options)).map_err(failed("the client cannot be set up"))?;
        create(&admin, options, &missing).await.map_err(failed("topics cannot be created"))?;
        for plan in &known {
            check_partitions(plan, there.get(plan.name.as_str()).copied().unwrap_or_default(), options)?;
        }
        if is_administrator { check_settings(&admin, options, &known).await } else { Ok(()) }
    }

    fn plans(&self, options: &Options) -> Vec<Plan> {
        let mut plans = Vec::new();
        for topic in &self.0 {
            plans.push(Plan { name: topic.name.clone(), partitions: options.partitions_of(topic.channel) });
            if topic.channel.is_internal {
                plans.push(Plan { name: topic.dead_letters.clone(), partitions: 1 });
            }
        }
        plans
    }
}

/// A topic as it has to be.
#[derive(Debug)]
struct Plan {
    name: String,
    partitions: i32,
}

/// Partitions of each topic, and the fewest copies that any of them has.
fn partitions(metadata: &Metadata) -> BTreeMap<&str, (usize, usize)> {
    let facts = |topic: &rdkafka::metadata::MetadataTopic| {
        let copies = topic.partitions().iter().map(|partition| partition.replicas().len()).min();
        (topic.partitions().len(), copies.unwrap_or(0))
    };
    let there = metadata.topics().iter().filter(|topic| topic.error().is_none());
    there.map(|topic| (topic.name(), facts(topic))).collect()
}

/// Topics that somebody else has to make.
fn refuse_missing(missing: &[&Plan]) -> Result<(), OpenError> {
    let Some(first) = missing.first() else { return Ok(()) };
    let all: Vec<String> = missing.iter().map(|plan| format!("{} ({})", plan.name, plan.partitions)).collect();
    let problem = format!(
        "is not there, and is not made with `sasl=msk-iam`: make these topics, with so many partitions: {}",
        all.join(", ")
    );
    Err(OpenError::Topic { topic: first.name.clone(), problem })
}

/// Topics are made with no more copies than there are brokers.
fn refuse_copies(options: &Options, metadata: &Metadata, missing: &[&Plan]) -> Result<(), OpenError> {
    let there = i32::try_from(metadata.brokers().len()).unwrap_or(i32::MAX);
    if missing.is_empty() || options.replication <= there {
        return Ok(());
    }
    Err(OpenError::Copies { brokers: options.brokers.clone(), asked: options.replication, there })
}

async fn create(admin: &AdminClient<Context>, options: &Options, plans: &[&Plan]) -> Result<(), KafkaError> {
    if plans.is_empty() {
        return Ok(());
    }
    let (min_isr, retention) = (options.min_isr.to_string(), options.retention.as_millis().to_string());
    let topics: Vec<NewTopic<'_>> = plans
        .iter()
        .map(|plan| {
            NewTopic::new(&plan.name, plan.partitions, TopicReplication::Fixed(options.replication))
                .set(MIN_ISR, &min_isr)
                .set(RETENTION, &retention)
        })
        .collect();
    let wait = AdminOptions::new().operation_timeout(Some(ANSWER_MAX)).request_timeout(Some(ANSWER_MAX));
    for result in admin.create_topics(&topics, &wait).await? {
        match result {
            Ok(name) => tracing::info!(topic = name, "created a topic"),
            // Another process of this installation was faster.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(KafkaError::AdminOp(code)),
        }
    }
    Ok(())
}

fn check_partitions(plan: &Plan, (partitions, copies): (usize, usize), options: &Options) -> Result<(), OpenError> {
    let problem = |problem| Err(OpenError::Topic { topic: plan.name.clone(), problem });
    let wanted = usize::try_from(plan.partitions).unwrap_or(0);
    if partitions < wanted {
        return problem(format!("has {partitions} partitions, and {wanted} are asked for: add them, or ask for fewer"));
    }
    if partitions > wanted {
        tracing::info!(topic = plan.name, partitions, "a topic has more partitions than asked for");
    }
    let asked = usize::try_from(options.replication).unwrap_or(0);
    if copies < asked {
        return problem(format!("keeps {copies} copies of a message, and {asked} are asked for (`replication`)"));
    }
    Ok(())
}

async fn check_settings(admin: &AdminClient<Context>, options: &Options, plans: &[&Plan]) -> Result<(), OpenError> {
    if plans.is_empty() {
        return Ok(());
    }
    let failed = |source| OpenError::Broker {
        brokers: options.brokers.clone(),
        what: "the settings of topics cannot be read",
        source,
    };
    let names: Vec<ResourceSpecifier<'_>> = plans.iter().map(|plan| ResourceSpecifier::Topic(&plan.name)).collect();
    let wait = AdminOptions::new().request_timeout(Some(ANSWER_MAX));
    let found = admin.describe_configs(&names, &wait).await.map_err(failed)?;
    for (plan, settings) in plans.iter().zip(found) {
        let settings = match settings {
            Ok(settings) => settings,
            // Whoever may read and write a topic need not be allowed to look at its settings.
            Err(RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed) => continue,
            Err(code) => return Err(failed(KafkaError::AdminOp(code))),
        };
        let value = |name| settings.get(name).and_then(|entry| entry.value.as_deref()?.parse::<i64>().ok());
        if let Some(found) = value(MIN_ISR).filter(|found| *found < i64::from(options.min_isr)) {
            let asked = options.min_isr;
            let problem = format!("takes a message with {found} copies written, and {asked} are asked for (`min_isr`)");
            return Err(OpenError::Topic { topic: plan.name.clone(), problem });
        }
        let asked_ms = i64::try_from(options.retention.as_millis()).unwrap_or(i64::MAX);
        if let Some(retention_ms) = value(RETENTION).filter(|found| (0..asked_ms).contains(found)) {
            tracing::warn!(
                topic = plan.name,
                retention_ms,
                asked_ms,
                "a topic keeps its messages for less than asked for"
            );
        }
    }
    Ok(())
}
