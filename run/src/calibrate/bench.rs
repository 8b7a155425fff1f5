//! A protocol on the bench: casts with behaviours, loaded in turns, and what disturbed them
//! meanwhile.

use std::time::Duration;

use clients::load::Round;
use clock::Mono;
use judge::statistics::mean_with_interval;
use lab::probe::Control;
use lab::stalls::Stalls;
use proto::{Capability, Protocol, Transport};
use servers::MarketConfig;
use servers::reference::Behaviour;
use terms::{
    Access, Activity, Amount, Carriage, Changes, Contender, Handler, Layout, LedgerKind, Manners, Quantiles,
    Screen, Shape, Streams, TlsOptions, Traffic, Workload, text,
};

use super::{Accuracy, CalibrationRow, Unit};
use crate::cast::{Cast, Setup, Taken};
use crate::disturbance::void_reason;
use crate::site::Site;

/// Loads that are disturbed from outside are repeated so often.
const ATTEMPTS: usize = 3;
/// Bytes through a bare pipe before each group of loads, and after.
const CONTROLS: u32 = 400;
/// The share of the time in stalls from which on a tail says nothing.
const STALL_SHARE_MAX: f64 = 0.001;

/// One protocol on the bench.
pub(super) struct Bench<'a> {
    pub(super) site: &'a Site<'a>,
    pub(super) protocol: Protocol,
    pub(super) stalls: Stalls,
    /// The bare pipe at the beginning.
    pub(super) base: Control,
}

/// What a cast is loaded with, a round at a time.
#[derive(Clone, Copy)]
pub(super) struct Turn {
    pub(super) operation: Capability,
    pub(super) behaviour: Behaviour,
    pub(super) shape: Shape,
    pub(super) round: Round,
}

/// A cast and its rounds.
pub(super) struct Loaded {
    pub(super) cast: Cast,
    pub(super) rounds: Vec<Taken>,
    /// When calls came to the server, round by round.
    pub(super) arrivals: Vec<Vec<Mono>>,
}

impl Loaded {
    /// The responses of all rounds.
    pub(super) fn response(&self) -> Quantiles {
        let all = self.rounds.iter().map(|taken| taken.outcome.histograms.response.clone());
        all.reduce(|sum, next| sum + next).map_or_else(Quantiles::default, |all| Quantiles::of(&all))
    }

    /// A figure of each round's responses.
    pub(super) fn each(&self, read: impl Fn(&Quantiles) -> f64) -> Vec<f64> {
        self.rounds.iter().map(|taken| read(&Quantiles::of(&taken.outcome.histograms.response))).collect()
    }
}

/// What disturbed a group of loads from outside.
pub(super) struct Surroundings {
    /// Whose loads: a protocol's, or the link's.
    of: &'static str,
    disturbed: Option<String>,
    /// What a bare pipe between the two cores was off by, before or after.
    control: Control,
    /// How much later its median was than when this protocol's turn began, in µs.
    drift_us: f64,
    /// A loop that does nothing was stalled: tails say nothing then.
    stalled: Option<String>,
}

/// In what respect a bare pipe stands for a figure, and whether single events move it.
#[derive(Clone, Copy)]
pub(super) struct Respect {
    control_us: fn(&Control) -> f64,
    tail: bool,
}

/// A middle of a distribution, which a few late wake-ups do not move.
pub(super) const fn middle(control_us: fn(&Control) -> f64) -> Respect {
    Respect { control_us, tail: false }
}

/// A tail, which they make.
pub(super) const fn tail(control_us: fn(&Control) -> f64) -> Respect {
    Respect { control_us, tail: true }
}

/// A figure that was read, beside what it should be.
pub(super) struct Found {
    pub(super) truth: f64,
    pub(super) measured: f64,
    pub(super) tolerance: f64,
    pub(super) n: u64,
    /// How far off it was in each round.
    pub(super) off_by_round: Vec<f64>,
}

impl Bench<'_> {
    /// Loads a cast a turn, one after the other and so many rounds: what changes on the machine
    /// meanwhile hurts all alike.
    pub(super) fn load<const N: usize>(
        &self,
        turns: [Turn; N],
        rounds: usize,
    ) -> anyhow::Result<([Loaded; N], Surroundings)> {
        let before = control(self.site.layout)?;
        let mut loaded = Vec::with_capacity(N);
        for turn in &turns {
            loaded.push(Loaded {
                cast: self.open(turn)?,
                rounds: Vec::with_capacity(rounds),
                arrivals: Vec::new(),
            });
        }
        let mut disturbed = None;
        for nth in 0..rounds {
            for (turn, loaded) in turns.iter().zip(&mut loaded) {
                let taken = self.one_round(turn, loaded, nth as u64, &mut disturbed)?;
                loaded.rounds.push(taken);
            }
        }
        let control = before.worse(control(self.site.layout)?);
        let among = Surroundings::of(self.protocol.name(), disturbed, control, &self.base, &self.stalls);
        let loaded = <[Loaded; N]>::try_from(loaded).map_err(|_| anyhow::anyhow!("a turn was lost"))?;
        Ok((loaded, among))
    }

    /// Again where it was disturbed from outside, up to a point.
    fn one_round(
        &self,
        turn: &Turn,
        loaded: &mut Loaded,
        nth: u64,
        disturbed: &mut Option<String>,
    ) -> anyhow::Result<Taken> {
        let round = Round { seed: turn.round.seed + nth, ..turn.round };
        let pushes = turn.operation == Capability::Subscribe;
        let mut attempt = 1;
        loop {
            self.site.crew.heed_at_once()?;
            let taken =
                self.site.load(&mut loaded.cast, turn.shape, round, &Changes::default(), &mut |_| ())?;
            // Those of an attempt that does not count go with it.
            let arrivals = loaded.cast.arrivals()?;
            let reason = void_reason(&taken, pushes).map(|(why, _)| why);
            if reason.is_none() || attempt == ATTEMPTS {
                *disturbed = disturbed.take().or(reason);
                loaded.arrivals.push(arrivals);
                return Ok(taken);
            }
            attempt += 1;
        }
    }

    fn open(&self, turn: &Turn) -> anyhow::Result<Cast> {
        let workload = Workload {
            activity: Activity::Market(turn.operation),
            amount: Amount { symbols: 1, candles: 1 },
            model: turn.round.model,
            ticks_per_s: None,
            time_out: turn.round.time_out,
            handler: Handler::default(),
            ledger: LedgerKind::Memory,
            second_market: None,
            replicas: 1,
        };
        let name = self.protocol.name().to_owned();
        let carriage = carriage(self.protocol);
        let tls = (carriage.transport(false) == Some(Transport::Quic)).then(TlsOptions::default);
        let access = Access {
            carriage,
            tls,
            connection_per_call: false,
            dns: false,
            server: None,
            screen: Screen::default(),
            cold_round_trips: None,
            congestion: None,
            manners: Manners::default(),
            policy: None,
            deadline: None,
            names: None,
            balance: None,
            checks: None,
            routes: Vec::new(),
            balancer: None,
            through: None,
        };
        let contender = Contender { name, label: None, traffic: Traffic::Market(Box::new(access)) };
        let market = MarketConfig { behaviour: Some(turn.behaviour), ..MarketConfig::default() };
        let setup = Setup { market, workload: &workload, conformance: false, relayed: false };
        Ok(self.site.open(&contender, &setup)?.0)
    }
}

impl Surroundings {
    /// From what made loads void, and from what a bare pipe and a loop that does nothing showed,
    /// `base` before everything.
    pub(super) fn of(
        of: &'static str,
        disturbed: Option<String>,
        control: Control,
        base: &Control,
        stalls: &Stalls,
    ) -> Surroundings {
        let stalled = (stalls.share > STALL_SHARE_MAX).then(|| {
            format!(
                "a loop that does nothing lost {:.2} % of the time in gaps of up to {:.1} ms",
                stalls.share * 100.0,
                stalls.longest.as_secs_f64() * 1e3
            )
        });
        Surroundings { of, disturbed, control, drift_us: control.late_p50_us - base.late_p50_us, stalled }
    }

    /// A time in µs, judged.
    pub(super) fn time(&self, what: String, found: &Found, respect: Respect) -> CalibrationRow {
        let uncertainty = mean_with_interval(&found.off_by_round).map(|(_, half)| half);
        let noise = self.noise(respect, found.tolerance).or_else(|| {
            let half = uncertainty?;
            let off = (found.measured - found.truth).abs();
            (off - half <= found.tolerance).then(|| {
                let (half, rounds) = (text::micros(half), found.off_by_round.len());
                format!("its {rounds} rounds leave ± {half} (95 %)")
            })
        });
        self.row(what, Unit::Micros, found, uncertainty, noise)
    }

    /// A count or a share, which noise does not move unless it makes calls fail.
    pub(super) fn exact(&self, what: &str, unit: Unit, found: &Found) -> CalibrationRow {
        self.row(what.to_owned(), unit, found, None, self.disturbed.clone())
    }

    fn row(
        &self,
        what: String,
        unit: Unit,
        found: &Found,
        uncertainty: Option<f64>,
        noise: Option<String>,
    ) -> CalibrationRow {
        let Found { truth, measured, tolerance, n, .. } = *found;
        let within = (measured - truth).abs() <= tolerance + 1e-9;
        let outcome = match noise {
            _ if within => Accuracy::Within,
            Some(noise) => Accuracy::TooNoisy(noise),
            None => Accuracy::Off,
        };
        let protocol = self.of.to_owned();
        CalibrationRow { protocol, what, unit, truth, measured, tolerance, uncertainty, n, outcome }
    }

    /// Why a figure cannot be read to within a tolerance here: what a bare pipe is off by in the
    /// same respect takes half of it.
    fn noise(&self, respect: Respect, tolerance_us: f64) -> Option<String> {
        let pipe = |is: &str, us: f64| {
            let said = || format!("a bare pipe between the two cores {is} {}", text::micros(us));
            (us > tolerance_us / 2.0).then(said)
        };
        let stalled = self.stalled.clone().filter(|_| respect.tail);
        self.disturbed
            .clone()
            .or_else(|| pipe("is itself off by", (respect.control_us)(&self.control)))
            .or_else(|| pipe("became later meanwhile, by", self.drift_us))
            .or(stalled)
    }
}

/// A bare pipe from the client's core to the server's.
pub(super) fn control(layout: &Layout) -> std::io::Result<Control> {
    let client = layout.client.first().copied().unwrap_or(layout.server);
    Control::watch(client, layout.server, Duration::from_millis(1), CONTROLS)
}

/// The way of carrying that stands for a protocol.
fn carriage(protocol: Protocol) -> Carriage {
    use proto::encoding::Encoding::Json;
    use terms::HttpVersion::Http1;
    match protocol {
        Protocol::Rest => Carriage::Rest { http: Http1, encoding: Json, poll_every: None },
        Protocol::GraphQl => Carriage::GraphQl { http: Http1, persisted: false },
        Protocol::Grpc => Carriage::Grpc,
        Protocol::Sse => Carriage::Sse { http: Http1 },
        Protocol::WebSocket => Carriage::WebSocket { encoding: Json },
        Protocol::Tcp => Carriage::Tcp,
        Protocol::Udp => Carriage::Udp,
        Protocol::Quic => Carriage::Quic { streams: Streams::PerCall },
        Protocol::QuicDatagram => Carriage::QuicDatagram,
    }
}
