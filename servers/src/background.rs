//! Servers on a thread of their own, for tests and micro-benchmarks: up when the call returns, gone
//! when dropped.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use clock::Clock;
use proto::{Protocol, Transport};

use crate::protocols::{Carrier, Settings};
use crate::tls::Identity;
use crate::{Market, MarketConfig, Shutdown, protocols};

/// One market behind some protocols, on a loopback port each.
#[derive(Debug)]
pub struct Background {
    addresses: Vec<(Protocol, SocketAddr)>,
    shutdown: Shutdown,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// Starts the thread and waits until all listen.
    ///
    /// # Errors
    /// The system's, where it refuses a thread, a timer or a port.
    pub fn start(
        protocols: &[Protocol],
        config: MarketConfig,
        settings: impl Into<Settings>,
    ) -> io::Result<Background> {
        let settings = settings.into();
        let shutdown = Shutdown::new();
        let (stop, wanted) = (shutdown.clone(), protocols.to_vec());
        let (ready, addresses) = channel();
        let thread = std::thread::Builder::new().name("servers".to_owned()).spawn(move || {
            if let Err(error) = serve(&wanted, &config, &settings, &stop, &ready) {
                // Whoever would read it may be gone.
                let _ = ready.send(Err(error));
            }
        })?;
        let addresses = addresses.recv().map_err(io::Error::other)??;
        Ok(Background { addresses, shutdown, thread: Some(thread) })
    }

    /// Every protocol that a transport carries, with the bounds that a server has unless told.
    ///
    /// # Errors
    /// As `start`.
    pub fn over(
        transport: Transport,
        identity: &Arc<Identity>,
        config: MarketConfig,
    ) -> io::Result<Background> {
        let carried = |protocol: &Protocol| protocol.transports().contains(&transport);
        let protocols: Vec<Protocol> = Protocol::ALL.into_iter().filter(carried).collect();
        let settings = Settings { carrier: Carrier::new(transport, identity), ..Settings::default() };
        Background::start(&protocols, config, settings)
    }

    /// Where a protocol listens; `None` where it was not asked for.
    pub fn address(&self, protocol: Protocol) -> Option<SocketAddr> {
        self.addresses.iter().find(|(other, _)| *other == protocol).map(|(_, address)| *address)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.shutdown.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic was printed where it happened.
            let _ = thread.join();
        }
    }
}

type Ready = Sender<io::Result<Vec<(Protocol, SocketAddr)>>>;

fn serve(
    wanted: &[Protocol],
    config: &MarketConfig,
    settings: &Settings,
    stop: &Shutdown,
    ready: &Ready,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let market = Market::open(config, Clock::System)?;
        let (mut addresses, mut tasks) = (Vec::new(), Vec::new());
        for protocol in wanted {
            let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let started =
                protocols::start(*protocol, any_port, market.clone(), settings.clone(), stop.clone());
            let running = started.await?;
            addresses.push((*protocol, running.address));
            tasks.push(running.task);
        }
        let _ = ready.send(Ok(addresses));
        for task in tasks {
            task.await?;
        }
        Ok(())
    })
}
