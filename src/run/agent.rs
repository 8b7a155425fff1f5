//! The children: this program, started again behind a hidden verb, as one server or one client. Synchronous
//! until pinned; one runtime a core it was given.

use std::io::{BufRead, stdin, stdout};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clients::conformance;
use clients::load::{Engine, Outcome, Round};
use clients::market::Checked;
use clients::protocols::Visit;
use clients::{Connection as _, Connector, MarketConnection};
use lab::child::{read_message, write_message};
use proto::Operation;
use proto::data::DataSet;
use servers::{Market, Shutdown};

use super::message::{FromClient, FromServer, Open, Progress, Serve, ToClient};
use super::workload;

/// How often a client says how it is going.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);
/// Replies compared whole at the end.
const AUDIT_SAMPLE: usize = 50;

/// Which child this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Agent {
    /// One server.
    Server,
    /// One client.
    Client,
}

impl Agent {
    /// Runs to the end of the input.
    ///
    /// # Errors
    /// What went wrong; it was said on the output too.
    pub fn run(self) -> anyhow::Result<()> {
        let (ran, failed) = match self {
            Agent::Server => {
                let ran = serve();
                let error = ran.as_ref().err().map(|error| format!("{error:#}"));
                (ran, error.map(|error| serde_json::json!(FromServer::Failed { error })))
            }
            Agent::Client => {
                let ran = call();
                let error = ran.as_ref().err().map(|error| format!("{error:#}"));
                (ran, error.map(|error| serde_json::json!(FromClient::Failed { error })))
            }
        };
        if let Some(message) = failed {
            // Whoever would read it may be gone.
            let _ = write_message(&mut stdout(), &message);
        }
        ran
    }
}

fn serve() -> anyhow::Result<()> {
    let Serve { core, protocol, market, limits } = read_message(&mut stdin().lock())?;
    lab::cores::pin(core).context("pinning the server")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let shutdown = Shutdown::new();
        let market = Market::open(&market, clock::Clock::System)?;
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let running = servers::protocols::start(protocol, any_port, market, limits, shutdown.clone()).await?;
        write_message(&mut stdout(), &FromServer::Ready { address: running.address })?;
        std::thread::spawn(move || {
            // Nothing more is said to a server: this returns when the command closes the pipe, or dies.
            let _ = std::io::copy(&mut stdin().lock(), &mut std::io::sink());
            shutdown.cancel();
        });
        running.task.await?;
        Ok(())
    })
}

fn call() -> anyhow::Result<()> {
    let mut input = stdin().lock();
    let ToClient::Open(open) = read_message(&mut input)? else { bail!("the first message must open") };
    // This thread only passes messages; it shares a core with the work rather than disturb the servers'.
    let core = *open.cores.first().context("no core for the client")?;
    lab::cores::pin(core).context("pinning the client")?;
    let (carriage, address) = (open.carriage, open.address);
    carriage.visit(address, Client { open: &open, input: &mut input })
}

/// A client, once its protocol is known.
struct Client<'a, I> {
    open: &'a Open,
    input: &'a mut I,
}

impl<I: BufRead> Visit for Client<'_, I> {
    type Output = anyhow::Result<()>;

    fn with<K>(self, connector: K) -> anyhow::Result<()>
    where
        K: Connector,
        K::Connection: MarketConnection,
    {
        let Client { open, input } = self;
        let data = DataSet::new(open.market_seed);
        let runtime = clients::local_runtime()?;
        let protocol = open.carriage.protocol();
        let conformance = runtime.block_on(conformance::check(&connector, protocol, &data));
        let operations = workload::operations(&open.workload, &data);
        let checked = Checked(connector);
        let engines = open
            .shapes
            .iter()
            .map(|shape| Engine::start(&open.cores, &checked, *shape, &operations, lab::cores::pin))
            .collect::<Result<Vec<_>, _>>()?;
        write_message(&mut stdout(), &FromClient::Opened { conformance })?;
        loop {
            let reply = match read_message(input) {
                Ok(ToClient::Open(_)) => bail!("opened twice"),
                Ok(ToClient::Round { shape, round }) => {
                    let engine = engines.get(shape).context("a round for a shape that was not opened")?;
                    FromClient::Result(Box::new(run(engine, &round)?))
                }
                Ok(ToClient::Audit) => {
                    let (compared, wrong) = runtime.block_on(audit(&checked, &operations, &data));
                    FromClient::Audited { compared, wrong }
                }
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            write_message(&mut stdout(), &reply)?;
        }
    }
}

/// Runs a round, saying now and then how it is going.
fn run(engine: &Engine, round: &Round) -> anyhow::Result<Outcome> {
    let done = AtomicBool::new(false);
    let workers = engine.live();
    std::thread::scope(|scope| {
        let teller = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                std::thread::park_timeout(PROGRESS_EVERY);
                let progress = FromClient::Progress(Progress::of(&workers));
                // The round's result tells soon enough that nobody reads.
                if !done.load(Ordering::Relaxed) && write_message(&mut stdout(), &progress).is_err() {
                    return;
                }
            }
        });
        let outcome = engine.run(round);
        done.store(true, Ordering::Relaxed);
        teller.thread().unpark();
        Ok(outcome?)
    })
}

/// Compares replies whole with what they must be. Orders have no such answer; their receipts were checked in each
/// call.
async fn audit<K>(connector: &K, operations: &[Operation], data: &DataSet) -> (usize, Option<String>)
where
    K: Connector,
    K::Connection: clients::Connection<Request = Operation, Reply = proto::Reply>,
{
    let step = (operations.len() / AUDIT_SAMPLE).max(1);
    let sample = operations.iter().step_by(step);
    let mut compared = 0;
    let connection = match connector.connect().await {
        Ok(connection) => connection,
        Err(error) => return (0, Some(error.to_string())),
    };
    for operation in sample {
        let Ok(right) = data.answer(operation) else { continue };
        let Ok(prepared) = connection.prepare(operation) else { continue };
        match connection.call(&prepared).await {
            Ok(reply) if reply == right => compared += 1,
            Ok(_) => return (compared, Some(format!("the reply to {} differs", operation.in_words()))),
            Err(error) => return (compared, Some(format!("{}: {error}", operation.in_words()))),
        }
    }
    (compared, None)
}
