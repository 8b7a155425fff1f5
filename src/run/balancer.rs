//! A balancer's process: a relay, told whom to give connections to.

use std::io::stdout;
use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use clock::Clock;
use lab::child::write_message;
use servers::Shutdown;
use servers::between::{Backends, Relay};

use super::agent::orders;
use super::message::{Balance, FromServer, Ready, ToServer};

/// Balances until the end of the input.
pub(super) fn balance(order: Balance) -> anyhow::Result<()> {
    let Balance { core, address, congestion, limits, backends } = order;
    lab::cores::pin(core).context("pinning the balancer")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (shutdown, backends) = (Shutdown::new(), Backends::new(backends));
        let any_port = SocketAddr::new(address, 0);
        let started =
            Relay::start(any_port, backends.clone(), Some(congestion), limits, shutdown.clone()).await;
        let mut relay = started.with_context(|| format!("listening on {address}"))?;
        let ready = Ready {
            address: relay.address,
            listening_since: Clock::System.now(),
            root: None,
            name_server: None,
            origin: None,
            program: None,
        };
        write_message(&mut stdout(), &FromServer::Ready(ready))?;
        let mut orders = orders(shutdown);
        loop {
            tokio::select! {
                ended = &mut relay.task => return Ok(ended?),
                Some(order) = orders.recv() => {
                    let reply = match order {
                        ToServer::Backends(servers) => {
                            backends.set(servers);
                            FromServer::BetweenSet
                        }
                        ToServer::Between(policy) => {
                            relay.policy.send_replace(policy);
                            FromServer::BetweenSet
                        }
                        ToServer::Given => FromServer::Given { connections: backends.given() },
                        other => bail!("a balancer was told {other:?}"),
                    };
                    write_message(&mut stdout(), &reply)?;
                }
            }
        }
    })
}
