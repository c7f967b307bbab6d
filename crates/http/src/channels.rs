//! `/v1/channels`: what a page into a message broker shows, of the event path as it is: the channels, who reads them and how far they
//! are, their messages, and what was given up.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use axum::extract::{FromRequestParts, Path, State};
use axum::response::Response;
use http::StatusCode;
use http::request::Parts;
use ordermill_core::Timestamp;
use ordermill_core::channel::{self, Channel};
use ordermill_core::event::EventType;
use ordermill_core::process::Role;
use ordermill_ports::bus::{BusError, Lag};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::error_code::CHANNEL_NOT_FOUND;
use crate::openapi::ListProblems;
use crate::problem::Problem;
use crate::query::Params;
use crate::representation::json;
use crate::state::{Shared, State as Inner};

pub(crate) mod dead;
pub(crate) mod messages;
pub(crate) mod stream;

/// All channels.
#[derive(Serialize, ToSchema)]
#[schema(as = ChannelList)]
pub(crate) struct ChannelList {
    /// The channels.
    channels: Vec<ChannelView>,
}

/// A channel.
#[derive(Serialize, ToSchema)]
#[schema(as = Channel)]
pub(crate) struct ChannelView {
    /// Its name.
    #[schema(value_type = String, example = "order_queue")]
    name: &'static str,
    /// Where the messages lie that were given up.
    #[schema(value_type = String, example = "order_queue_dead_letter")]
    dead_letter_channel: &'static str,
    /// The types of its messages.
    #[schema(value_type = Vec<String>)]
    event_types: TypeNames,
    /// The roles that react to them. Where a broker carries the channels, first the relay, which hands it their messages.
    consumers: Vec<ConsumerView>,
    /// How many messages were given up; at most 10,000 dead letters are looked at.
    dead_letters: usize,
}

struct TypeNames(&'static [EventType]);

impl Serialize for TypeNames {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|kind| kind.name()))
    }
}

/// A role that reads a channel.
#[derive(Serialize, ToSchema)]
#[schema(as = ChannelConsumer)]
pub(crate) struct ConsumerView {
    /// Which.
    #[schema(value_type = String, example = "payments")]
    role: &'static str,
    /// Events, of any type, that it has not passed yet.
    lag: u64,
    /// Messages that wait for another try.
    parked: u64,
    /// When the oldest was decided that it has not dealt with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    oldest: Option<Timestamp>,
}

/// List the channels, who reads each, how far they are, and what was given up.
#[utoipa::path(
    get, path = "/v1/channels", tag = "channels", operation_id = "list_channels",
    responses((status = 200, description = "The channels.", body = ChannelList), ListProblems)
)]
pub(crate) async fn list(State(state): State<Shared>, params: Params) -> Result<Response, Problem> {
    params.finish()?;
    let lags = lags(&state).await?;
    let given_up = dead::counts(&*state.app.bus).await?;
    let view = |channel: &'static Channel| ChannelView {
        name: channel.name,
        dead_letter_channel: channel.dead_letters,
        event_types: TypeNames(channel.event_types),
        consumers: readers(&state, channel).filter_map(|role| Some(consumer(role, *lags.get(&role)?))).collect(),
        dead_letters: given_up.get(channel.name).copied().unwrap_or(0),
    };
    Ok(json(StatusCode::OK, &ChannelList { channels: channel::TABLE.iter().map(view).collect() }))
}

fn consumer(role: Role, lag: Lag) -> ConsumerView {
    ConsumerView { role: role.as_str(), lag: lag.events, parked: lag.parked, oldest: lag.oldest }
}

/// Who deals with the messages of a channel.
fn readers(state: &Inner, channel: &'static Channel) -> impl Iterator<Item = Role> + use<> {
    state.app.bus.is_relayed().then_some(Role::Relay).into_iter().chain(channel.consumers())
}

/// Each role's lag once, however many channels it reads.
async fn lags(state: &Inner) -> Result<BTreeMap<Role, Lag>, BusError> {
    let mut lags = BTreeMap::new();
    for role in channel::TABLE.iter().flat_map(|channel| readers(state, channel)) {
        if let Entry::Vacant(vacant) = lags.entry(role) {
            vacant.insert(state.app.bus.lag(role).await?);
        }
    }
    Ok(lags)
}

/// The channel named in the path, or the dead letters of one.
#[derive(Clone, Copy)]
pub(crate) enum ChannelPath {
    /// A channel.
    Messages(&'static Channel),
    /// What was given up of one.
    DeadLetters(&'static Channel),
}

impl<S: Send + Sync> FromRequestParts<S> for ChannelPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let none = || Problem::new(&CHANNEL_NOT_FOUND, "there is no such channel; GET /v1/channels lists them");
        let Ok(Path(name)) = Path::<String>::from_request_parts(parts, state).await else { return Err(none()) };
        let dead = || Channel::find_by_dead_letters(&name).map(Self::DeadLetters);
        Channel::find(&name).map(Self::Messages).or_else(dead).ok_or_else(none)
    }
}
