//! A resolver cache: it asks the zone's server, and answers from what it remembers until that
//! expires. Other users, who are not here, keep it warm: what it remembers expires at its own
//! moments, and not so long after the first question that is seen here.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use clock::{Clock, Mono};
use hickory_server::proto::op::{Message, Query, ResponseCode};
use hickory_server::proto::rr::{Name, RData, RecordType};
use tokio::net::UdpSocket;
use tokio::sync::Mutex;

use super::{Addresses, Resolves};

/// Time for the zone's server to answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(1);
/// An answer over UDP without extensions (RFC 1035, section 4.2.1).
const ANSWER_BYTES_MAX: usize = 512;

/// One cache.
#[derive(Debug)]
pub struct Cache {
    clock: Clock,
    /// Who is asked.
    zone: SocketAddr,
    /// The zone is asked again so seldom, whatever an answer says.
    keeps: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Where in the time of an answer its moments of expiry lie, in [0, 1).
    phase: f64,
    remembered: Option<Remembered>,
    turn: usize,
}

#[derive(Debug)]
struct Remembered {
    each: Vec<Ipv4Addr>,
    expires: Mono,
}

impl Cache {
    /// An empty one, which asks `zone` as often as answers say or every `keeps`, where that is
    /// longer, and whose moments of expiry lie at `phase`.
    pub fn new(zone: SocketAddr, keeps: Duration, phase: f64, clock: Clock) -> Cache {
        Cache { clock, zone, keeps, state: Mutex::new(State { phase, remembered: None, turn: 0 }) }
    }

    /// Forgets what it remembers; its moments of expiry lie at `phase` from now on.
    pub async fn begin_anew(&self, phase: f64) {
        let mut state = self.state.lock().await;
        (state.phase, state.remembered) = (phase, None);
    }
}

/// The first moment after `now` of those that lie `time` apart at a phase; `now` where they have no
/// time between them.
fn expiry(now: Mono, time: Duration, phase: f64) -> Mono {
    let time = clock::nanos(time);
    let Some(into) = now.0.saturating_sub((phase * time as f64) as u64).checked_rem(time) else {
        return now;
    };
    Mono(now.0.saturating_add(time - into))
}

#[async_trait::async_trait]
impl Resolves for Cache {
    /// One question at a time: who comes while the zone is asked waits for that answer.
    async fn addresses(&self) -> Option<Addresses> {
        let mut state = self.state.lock().await;
        let now = self.clock.now();
        if state.remembered.as_ref().is_none_or(|remembered| remembered.expires <= now) {
            let Addresses { each, ttl_s } = ask(self.zone).await?;
            // That there is no address is kept for as long as it says alone.
            let keeps = if each.is_empty() { Duration::ZERO } else { self.keeps };
            let time = Duration::from_secs(ttl_s.into()).max(keeps);
            state.remembered = Some(Remembered { each, expires: expiry(now, time, state.phase) });
        }
        let State { remembered, turn, .. } = &mut *state;
        let Remembered { each, expires } = remembered.as_ref()?;
        let ttl_s = u32::try_from(expires.since(now).as_secs()).unwrap_or(u32::MAX);
        let addresses = Addresses { each: each.clone(), ttl_s }.at_turn(*turn);
        *turn = turn.wrapping_add(1);
        Some(addresses)
    }
}

/// Asks the zone's server, which is on the same host; `None` where it does not say in time. Another
/// socket for each question: an answer that is late finds nobody.
async fn ask(zone: SocketAddr) -> Option<Addresses> {
    let socket = UdpSocket::bind((zone.ip(), 0)).await.ok()?;
    socket.connect(zone).await.ok()?;
    let mut question = Message::query();
    question.add_query(Query::query(Name::from_ascii(proto::MARKET_NAME).ok()?, RecordType::A));
    socket.send(&question.to_vec().ok()?).await.ok()?;
    let mut bytes = [0; ANSWER_BYTES_MAX];
    let received = clock::limit(ANSWER_TIME_MAX, socket.recv(&mut bytes)).await.ok()?.ok()?;
    let answer = Message::from_vec(&bytes[..received]).ok()?;
    if answer.metadata.id != question.metadata.id || answer.metadata.response_code != ResponseCode::NoError {
        return None;
    }
    let records = answer.answers.iter();
    let found = records.filter_map(|record| match &record.data {
        RData::A(address) => Some((address.0, record.ttl)),
        _ => None,
    });
    let (each, times): (Vec<_>, Vec<_>) = found.unzip();
    Some(Addresses { each, ttl_s: times.into_iter().min().unwrap_or(0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_expire_at_moments_of_a_phase() {
        let (second, at) = (Duration::from_secs(1), |ms: u64| Mono(ms * 1_000_000));
        assert_eq!(expiry(at(5_000), second, 0.25), at(5_250));
        assert_eq!(expiry(at(5_250), second, 0.25), at(6_250), "not at once");
        assert_eq!(expiry(at(5_900), second, 0.25), at(6_250));
        assert_eq!(expiry(at(7), Duration::ZERO, 0.5), at(7));
    }
}
