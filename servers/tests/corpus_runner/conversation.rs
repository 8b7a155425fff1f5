//! One input against one server: its steps on all its connections, and the judgement of what comes
//! back on each.

use std::net::SocketAddr;
use std::time::Duration;

use clock::{Clock, Mono};

use super::answer::Judgement;
use super::encode::MAGIC;
use super::input::{Input, Served};
use super::peer::{LOOK_EVERY, Peer};
use super::script::Step;

/// For an answer, or the end of a connection that is idle: more than the servers' limits.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(6);
/// In which nothing may come, where silence is right, and in which the server meets an input of
/// which every answer is right.
const QUIET: Duration = Duration::from_millis(100);
/// Connections that can be looked at as often as one; more are looked at ten times as seldom.
const FEW: usize = 20;

/// Does what an input says, and judges what comes back.
pub(crate) fn converse(input: &Input, served: Served, address: SocketAddr) -> Result<(), String> {
    let steps = input.steps(&address.to_string());
    let by_preface = matches!(steps.first(), Some(Step::Send(bytes)) if bytes.starts_with(&MAGIC[..4]));
    let connect = |_| Peer::connect(served, address, by_preface, input.reads);
    let peers = (0..input.connections).map(connect).collect::<Result<Vec<_>, _>>();
    let mut peers = peers.map_err(|error| format!("no connection: {error}"))?;
    for step in &steps {
        peers.iter_mut().for_each(|peer| peer.step(step));
        if let Step::Pause(span) = step {
            let end = Clock::System.now() + *span;
            while Clock::System.now() < end {
                look(&mut peers);
            }
        }
    }
    judge(input, &mut peers)
}

/// Takes what came, and waits a little.
fn look(peers: &mut [Peer]) {
    peers.iter_mut().for_each(Peer::listen);
    clock::pause_thread(if peers.len() <= FEW { LOOK_EVERY } else { LOOK_EVERY * 10 });
}

/// Waits until every connection has a right answer, or one has a wrong one, or the time is over.
fn judge(input: &Input, peers: &mut [Peer]) -> Result<(), String> {
    let begin = Clock::System.now();
    let waits = input.answers.allow_any() || input.answers.allow_silence();
    let mut seen = None;
    loop {
        look(peers);
        let now = Clock::System.now();
        let sizes: Vec<_> = peers.iter().map(Peer::heard_so_far).collect();
        let quiet = now.since(begin) > QUIET;
        // A long answer is read anew only where more of it came.
        if seen.as_ref() == Some(&(sizes.clone(), quiet)) && !is_over(begin, now) {
            continue;
        }
        seen = Some((sizes, quiet));
        let judged: Vec<Judgement> = peers.iter().map(|peer| input.answers.judge(&peer.heard)).collect();
        let ended = quiet || peers.iter().all(|peer| peer.heard.closed);
        if judged.iter().all(|judgement| *judgement == Judgement::Right) && (ended || !waits) {
            return Ok(());
        }
        let place = |wanted| judged.iter().position(|judgement| *judgement == wanted);
        let open = place(Judgement::Open).filter(|_| is_over(begin, now));
        if let Some(nth) = place(Judgement::Wrong).or(open) {
            return Err(format!("right is `{}`, heard was {}", input.answers, told(&peers[nth])));
        }
    }
}

fn is_over(begin: Mono, now: Mono) -> bool {
    now.since(begin) > ANSWER_TIME_MAX
}

/// What was heard, in few words.
fn told(peer: &Peer) -> String {
    let heard = &peer.heard;
    let statuses = heard.statuses();
    let begin = &heard.bytes[..heard.bytes.len().min(160)];
    let datagrams: Vec<String> =
        heard.datagrams.iter().take(2).map(|datagram| datagram.escape_ascii().to_string()).collect();
    let http2 = heard.http2().map(|http2| format!(" {http2:?}")).unwrap_or_default();
    let end = if heard.closed { "closed" } else { "open" };
    format!("statuses {statuses:?}{http2}, datagrams {datagrams:?}, {end}: {}", begin.escape_ascii())
}
