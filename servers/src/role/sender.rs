//! A sender's process: flows, sent round after round.

use std::io::{BufRead, stdout};
use std::net::SocketAddr;

use clock::Clock;
use proto::flow::Flow;
use serde::{Deserialize, Serialize};
use terms::role::{Means, Role, RoleError, answer, next_order, say_ready};
use terms::{Sent, orders};

use super::CountAllocations;
use crate::flow::{self, FlowTimes};

/// A sender of flows.
#[derive(Debug)]
pub struct Sender;

impl Role for Sender {
    const NAME: &'static str = "sender";
    type Start = SendFlows;
    type Ready = ();
    type Order = SenderOrder;
}

orders! {
    /// What a sender of flows can be told.
    pub enum SenderOrder of Sender {
        /// Send a round.
        Send(FlowTimes) -> Vec<Sent>,
        /// Count allocations.
        Allocations(CountAllocations) -> Option<u64>,
    }
}

/// What is sent in every round, and where to.
#[derive(Debug, Serialize, Deserialize)]
pub struct SendFlows {
    /// Where it runs.
    pub core: usize,
    /// Each flow, and its receiver.
    pub flows: Vec<(Flow, SocketAddr)>,
    /// The buffer of each socket, where one is asked for.
    pub buffer_bytes: Option<usize>,
}

/// Sends flows, round after round, until the end of the input.
///
/// # Errors
/// Where it cannot go on, with why.
pub fn send(start: &SendFlows, input: &mut dyn BufRead, means: Means) -> Result<(), RoleError> {
    (means.pin)(start.core).map_err(RoleError::during("pinning the sender"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    say_ready::<Sender>(&mut stdout(), ())?;
    while let Some(order) = next_order::<Sender>(input)? {
        match order {
            SenderOrder::Send(times) => {
                let sent = flow::send(&start.flows, times, start.buffer_bytes, &Clock::System);
                answer::<Sender, _>(&mut stdout(), &times, runtime.block_on(sent)?)?;
            }
            SenderOrder::Allocations(order) => {
                answer::<Sender, _>(&mut stdout(), &order, (means.allocations)())?;
            }
        }
    }
    Ok(())
}
