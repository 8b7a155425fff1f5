//! Calls that a client spreads over several markets by itself: a connection to each, a list of them
//! that is fetched now and then, and a picker.

use std::cell::{OnceCell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clock::{Clock, Mono};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use terms::{Balance, Balancing, Registry};

use crate::connection::{CallError, Connection, Connector, Unsupported};
use crate::lane::Lane;
use crate::policy::is_transient;

/// Opens connections that go to all markets.
#[derive(Debug, Clone)]
pub struct Balanced<K> {
    /// One for each market.
    pub markets: Vec<K>,
    /// How calls are spread over them.
    pub balance: Balance,
    /// Where the list is fetched.
    pub registry: Registry,
    /// What its chance is drawn from; each connection draws other numbers.
    pub seed: u64,
}

/// Connections of this process so far.
static OPENED: AtomicU64 = AtomicU64::new(0);

impl<K: Connector> Connector for Balanced<K>
where
    <K::Connection as Connection>::Request: Clone + 'static,
{
    type Connection = BalancedConnection<K>;

    /// Opens one to each market; who is not there is tried again by its first call.
    async fn connect(&self) -> Result<BalancedConnection<K>, CallError> {
        let opened = OPENED.fetch_add(1, Ordering::Relaxed);
        let mut chance = ChaCha8Rng::seed_from_u64(self.seed.wrapping_add(opened << 32));
        let first_turn = chance.random::<u32>() as usize;
        let phase = self.balance.refresh_every.mul_f64(chance.random());
        let lanes: Vec<_> = self.markets.iter().map(|_| Lane::closed()).collect();
        let opening = lanes.iter().zip(&self.markets).map(|(lane, market)| lane.connection(market));
        let opened = futures::future::join_all(opening).await;
        if let Some(Err(error)) = opened.iter().find(|_| opened.iter().all(Result::is_err)) {
            return Err(error.clone());
        }
        let state = State {
            balancing: Balancing::new(self.balance, self.markets.len(), first_turn),
            chance,
            fetched: None,
        };
        Ok(BalancedConnection { of: self.clone(), phase, lanes, state: RefCell::new(state) })
    }

    fn in_flight_max(&self) -> Option<usize> {
        self.markets.first().and_then(Connector::in_flight_max)
    }
}

/// A connection to each market.
pub struct BalancedConnection<K: Connector> {
    of: Balanced<K>,
    /// When it fetches the list, after every whole interval.
    phase: Duration,
    lanes: Vec<Lane<K>>,
    state: RefCell<State>,
}

struct State {
    balancing: Balancing,
    chance: ChaCha8Rng,
    /// Which time the list was fetched last.
    fetched: Option<u64>,
}

/// A request, encoded for each market as its connection was there.
pub struct BalancedRequest<K: Connector> {
    request: <K::Connection as Connection>::Request,
    each: Vec<OnceCell<<K::Connection as Connection>::Prepared>>,
}

impl<K: Connector> Connection for BalancedConnection<K>
where
    <K::Connection as Connection>::Request: Clone + 'static,
{
    type Request = <K::Connection as Connection>::Request;
    type Prepared = BalancedRequest<K>;
    type Reply = <K::Connection as Connection>::Reply;

    fn prepare(&self, request: &Self::Request) -> Result<BalancedRequest<K>, Unsupported> {
        let encode = |lane: &Lane<K>| {
            let cell = OnceCell::new();
            if let Some(connection) = lane.open() {
                let _ = cell.set(connection.prepare(request)?);
            }
            Ok(cell)
        };
        let each = self.lanes.iter().map(encode).collect::<Result<_, Unsupported>>()?;
        Ok(BalancedRequest { request: request.clone(), each })
    }

    async fn call(
        &self,
        prepared: &BalancedRequest<K>,
        time_left: Option<Duration>,
    ) -> Result<Self::Reply, CallError> {
        let begun = Clock::System.now();
        let nth = self.pick(begun)?;
        let mut under_way = UnderWay { state: &self.state, nth, begun, failed: true };
        let connection = self.lanes[nth].connection(&self.of.markets[nth]).await?;
        let encoded = match prepared.each[nth].get() {
            Some(encoded) => encoded,
            None => {
                let encoded = connection.prepare(&prepared.request)?;
                prepared.each[nth].get_or_init(|| encoded)
            }
        };
        let time_left = time_left.map(|left| left.saturating_sub(Clock::System.now().since(begun)));
        let result = connection.call(encoded, time_left).await;
        under_way.failed = result.as_ref().is_err_and(is_transient);
        result
    }

    fn is_open(&self) -> bool {
        true
    }

    fn late_replies(&self) -> u64 {
        self.lanes.iter().map(Lane::late_replies).sum()
    }
}

impl<K: Connector> BalancedConnection<K> {
    /// Picks a market, from the list as it was fetched last.
    fn pick(&self, now: Mono) -> Result<usize, CallError> {
        let State { balancing, chance, fetched } = &mut *self.state.borrow_mut();
        let every = clock::nanos(self.of.balance.refresh_every).max(1);
        let phase = clock::nanos(self.phase);
        let time = now.0.saturating_sub(phase) / every;
        if *fetched != Some(time) {
            let at = Duration::from_nanos(time.saturating_mul(every).saturating_add(phase));
            balancing.list(|nth| self.of.registry.lists(nth, at));
            *fetched = Some(time);
        }
        let picked = balancing.pick(Duration::from_nanos(now.0), [chance.random(), chance.random()]);
        picked.ok_or_else(|| CallError::Refused("no market is on the list".to_owned()))
    }
}

/// A call that is under way; one that is given up has failed.
struct UnderWay<'a> {
    state: &'a RefCell<State>,
    nth: usize,
    begun: Mono,
    failed: bool,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let now = Clock::System.now();
        let mut state = self.state.borrow_mut();
        state.balancing.done(self.nth, Duration::from_nanos(now.0), now.since(self.begun), self.failed);
    }
}
