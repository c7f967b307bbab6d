//! An event on its way to its channels, and what the broker says to it.

use std::sync::Arc;

use futures_util::future::join_all;
use ordermill_core::channel::Channel;
use ordermill_ports::publisher::PublishError;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::future_producer::DeliveryFuture;
use tokio::time::Instant;

use super::lanes::Passage;
use super::producers::Producers;
use super::told::{Name, Told};

/// What became of a message whose producer has failed.
pub(super) const REPLACED: &str = "the producer was replaced while the message was on its way";

/// Why a channel does not have the event.
#[derive(Debug)]
pub(super) enum Failure {
    /// The broker does not take anything there, or does not answer. That may pass.
    Passing(String),
    /// The broker does not take this message for what it is, as long as the topic is what it is.
    ForGood(String),
}

/// What an answer of the broker is about.
pub(super) enum Answered {
    /// The message is in this partition.
    Taken(i32),
    /// It is refused for what it is.
    Unfit(KafkaError),
    Refused(KafkaError),
    /// Nothing: it says nothing of the broker.
    Replaced,
}

/// Whether the broker does not take a message for what it is.
pub(super) fn is_about_message(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize | Code::InvalidRecord)
    )
}

/// An event on its way to one channel.
pub(super) struct Message {
    pub(super) channel: &'static Channel,
    pub(super) sent: Result<Sent, Failure>,
}

impl Message {
    async fn answer(self) -> (&'static Channel, Result<(), Failure>) {
        let result = match self.sent {
            Ok(sent) => sent.answer().await,
            Err(failure) => Err(failure),
        };
        (self.channel, result)
    }
}

/// What the client has.
pub(super) struct Sent {
    pub(super) passage: Passage,
    pub(super) delivery: DeliveryFuture,
    /// Whether it is in a batch of its own.
    pub(super) is_alone: bool,
    pub(super) producers: Arc<Producers>,
    pub(super) name: Name,
    pub(super) told: Arc<Told>,
}

impl Sent {
    /// The answer, as far as it can be waited for.
    async fn answer(mut self) -> Result<(), Failure> {
        tokio::select! {
            biased;
            answered = answered(&mut self.delivery, &mut self.is_alone, &self.producers) => self.note(answered),
            () = self.passage.stalled() => {
                // It is with the client for a while yet, and may still get there: then it is not sent again.
                tokio::spawn(async move {
                    let answered = answered(&mut self.delivery, &mut self.is_alone, &self.producers).await;
                    let (name, told, channel) = (self.name.clone(), Arc::clone(&self.told), self.passage.channel());
                    if self.note(answered).is_ok() {
                        told.add(&name, channel.name);
                    }
                });
                Err(Failure::Passing("the broker does not answer".to_owned()))
            }
        }
    }

    fn note(self, answered: Answered) -> Result<(), Failure> {
        match answered {
            Answered::Taken(partition) => {
                self.passage.taken(partition, Instant::now());
                Ok(())
            }
            Answered::Unfit(error) => {
                self.passage.moves(Instant::now());
                Err(Failure::ForGood(error.to_string()))
            }
            Answered::Refused(error) => {
                self.passage.refused();
                Err(Failure::Passing(error.to_string()))
            }
            Answered::Replaced => Err(Failure::Passing(REPLACED.to_owned())),
        }
    }
}

/// What the broker says to a message. It judges a batch as a whole, so one that it does not take for what is in it is sent again, each
/// message alone. Safe to cancel, and to ask again then.
pub(super) async fn answered(delivery: &mut DeliveryFuture, is_alone: &mut bool, producers: &Producers) -> Answered {
    loop {
        return match (&mut *delivery).await {
            Ok(Ok(delivered)) => Answered::Taken(delivered.partition),
            Ok(Err((error, message))) if is_about_message(&error) && !*is_alone => {
                match producers.send_alone(&message) {
                    Ok(again) => {
                        (*delivery, *is_alone) = (again, true);
                        continue;
                    }
                    Err(error) => Answered::Refused(error),
                }
            }
            Ok(Err((error, _))) if is_about_message(&error) => Answered::Unfit(error),
            Ok(Err((error, _))) => Answered::Refused(error),
            Err(_) => Answered::Replaced,
        };
    }
}

/// The answer to an event: yes when all its channels have it.
pub(super) async fn all(
    name: Name,
    told: Arc<Told>,
    is_again: bool,
    messages: Vec<Message>,
) -> Result<(), PublishError> {
    let (mut taken, mut failed) = (Vec::new(), None);
    let (mut is_told_to_roles, mut is_for_good) = (true, true);
    // Each is waited for, whatever becomes of another.
    for (channel, result) in join_all(messages.into_iter().map(Message::answer)).await {
        let failure = match result {
            Ok(()) => {
                taken.push(channel.name);
                continue;
            }
            Err(failure) => failure,
        };
        is_told_to_roles &= !channel.is_internal;
        let reason = match failure {
            Failure::ForGood(reason) => reason,
            Failure::Passing(reason) => {
                is_for_good = false;
                reason
            }
        };
        failed = Some(format!("{}: {reason}", channel.name));
    }
    match failed {
        None => {
            if is_again {
                told.forget(&name);
            }
            Ok(())
        }
        Some(reason) => {
            taken.into_iter().for_each(|channel| told.add(&name, channel));
            Err(PublishError { reason, is_told_to_roles, is_for_good })
        }
    }
}
