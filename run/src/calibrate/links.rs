//! What a link is known to do, read with plain sockets: its delay, its loss and its rate.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use clock::Clock;
use lab::cores::pin;
use lab::wan::Wan;
use terms::Layout;

use super::bench::{Found, Surroundings, middle, tail};
use super::predict::percentile;
use super::{CalibrationRow, Unit};

/// What is read of links stands under this name.
pub(super) const NAME: &str = "link";

const ROUNDS: usize = 5;
/// Round trips of a round, one a millisecond after the other: two thousand in all, so that there is
/// a p99.
const ECHOES: usize = 400;
const PAUSE: Duration = Duration::from_millis(1);
/// Datagrams whose loss is counted, and how many go at once.
const DATAGRAMS: u32 = 4_000;
const BURST: u32 = 20;
/// How long bytes are counted in a round, after as long a beginning.
const STREAMED: Duration = Duration::from_millis(500);
const SILENCE_MAX: Duration = Duration::from_secs(2);

const DELAY_P50_US: f64 = 150.0;
const DELAY_P99_US: f64 = 500.0;
const RATE_SHARE: f64 = 0.03;
/// Payload of a packet of 1 500 bytes, with TCP's timestamps.
const PAYLOAD_SHARE: f64 = 1_448.0 / 1_500.0;

/// Measures links and judges what was read; nothing where it is told to stop meanwhile.
pub(super) fn rows(
    layout: &Layout,
    surroundings: impl FnOnce() -> io::Result<Surroundings>,
    is_stopped: impl Fn() -> bool,
) -> anyhow::Result<Vec<CalibrationRow>> {
    let [p50, p99] = delay(layout)?;
    if is_stopped() {
        return Ok(Vec::new());
    }
    let loss = loss()?;
    if is_stopped() {
        return Ok(Vec::new());
    }
    let rate = rate(layout)?;
    let among = surroundings()?;
    Ok(vec![
        among.time(
            "an idle link of 1 ms, there and back, p50".to_owned(),
            &p50,
            middle(|control| control.late_p75_us),
        ),
        among.time(
            "an idle link of 1 ms, there and back, p99".to_owned(),
            &p99,
            tail(|control| control.late_p99_us),
        ),
        among.exact("a link that loses 5 %, lost", Unit::Share, &loss),
        among.exact("a link of 100 Mbit/s, share of it that cubic fills", Unit::Share, &rate),
    ])
}

fn link(words: &str) -> anyhow::Result<Wan> {
    Ok(Wan::between(terms::ways::parse(words, None)?, 1)?)
}

/// A socket on a host of a link.
fn on<T: Send>(wan: &Wan, host: usize, open: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    wan.host(host).ok_or_else(|| io::Error::other("a host is missing"))?.on(open)
}

fn datagrams(wan: &Wan, host: usize) -> io::Result<UdpSocket> {
    let socket = on(wan, host, || UdpSocket::bind((Wan::address(host), 0)))?;
    socket.set_read_timeout(Some(SILENCE_MAX))?;
    Ok(socket)
}

/// The round trip of single datagrams.
fn delay(layout: &Layout) -> anyhow::Result<[Found; 2]> {
    let wan = link("rtt=1ms")?;
    let (client, server) = (datagrams(&wan, Wan::CLIENT)?, datagrams(&wan, Wan::SERVER)?);
    client.connect(server.local_addr()?)?;
    let (server_core, client_core) = (layout.server, layout.client.first().copied());
    let echo = std::thread::spawn(move || {
        // Unpinned it is a less exact reading, and still one.
        let _ = pin(server_core);
        let mut byte = [0];
        // An empty datagram ends it, and so does silence.
        while let Ok((1, from)) = server.recv_from(&mut byte) {
            let _ = server.send_to(&byte, from);
        }
    });
    let ask = std::thread::spawn(move || {
        if let Some(core) = client_core {
            let _ = pin(core);
        }
        let clock = Clock::System;
        let mut rounds = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let mut took = Vec::with_capacity(ECHOES);
            for _ in 0..ECHOES {
                let sent = clock.now();
                client.send(&[1])?;
                client.recv(&mut [0])?;
                took.push(clock.now().nanos_since(sent));
                clock::pause_thread(PAUSE);
            }
            took.sort_unstable();
            rounds.push(took);
        }
        client.send(&[])?;
        Ok::<_, io::Error>(rounds)
    });
    let panicked = |_| io::Error::other("a thread of the calibration panicked");
    let rounds = ask.join().map_err(panicked)??;
    echo.join().map_err(panicked)?;
    let mut all = rounds.concat();
    all.sort_unstable();
    let truth = 1_000.0;
    Ok([(0.5, DELAY_P50_US), (0.99, DELAY_P99_US)].map(|(share, tolerance)| Found {
        truth,
        measured: percentile(&all, share) / 1e3,
        tolerance,
        n: all.len() as u64,
        off_by_round: rounds.iter().map(|round| percentile(round, share) / 1e3 - truth).collect(),
    }))
}

/// The share of datagrams that do not arrive, within the 95 % interval of the binomial's normal
/// approximation.
fn loss() -> anyhow::Result<Found> {
    const TRUTH: f64 = 0.05;
    let wan = link("rtt=1ms up.loss=5%")?;
    let (client, server) = (datagrams(&wan, Wan::CLIENT)?, datagrams(&wan, Wan::SERVER)?);
    let to = server.local_addr()?;
    server.set_read_timeout(Some(Duration::from_millis(500)))?;
    let count = std::thread::spawn(move || {
        let mut arrived = 0_u32;
        while server.recv(&mut [0]).is_ok() {
            arrived += 1;
        }
        arrived
    });
    for nth in 1..=DATAGRAMS {
        client.send_to(&[1], to)?;
        if nth.is_multiple_of(BURST) {
            clock::pause_thread(PAUSE);
        }
    }
    let arrived = count.join().map_err(|_| io::Error::other("a thread of the calibration panicked"))?;
    let n = f64::from(DATAGRAMS);
    Ok(Found {
        truth: TRUTH,
        measured: 1.0 - f64::from(arrived) / n,
        tolerance: 1.96 * (TRUTH * (1.0 - TRUTH) / n).sqrt(),
        n: u64::from(DATAGRAMS),
        off_by_round: Vec::new(),
    })
}

/// What a stream over TCP gets through, headers included, as a share of the link's rate.
fn rate(layout: &Layout) -> anyhow::Result<Found> {
    const BITS_PER_S: f64 = 100e6;
    let wan = link("rtt=2ms rate=100Mbit/s queue=128KB")?;
    let listener = on(&wan, Wan::SERVER, || TcpListener::bind((Wan::address(Wan::SERVER), 0)))?;
    let to = listener.local_addr()?;
    let mut client = on(&wan, Wan::CLIENT, || TcpStream::connect(to))?;
    let (mut server, _) = listener.accept()?;
    let core = layout.client.first().copied();
    let sender = std::thread::spawn(move || {
        if let Some(core) = core {
            let _ = pin(core);
        }
        let block = vec![7; 1 << 15];
        // Until the other end closes.
        while client.write_all(&block).is_ok() {}
    });
    let clock = Clock::System;
    let mut buffer = vec![0; 1 << 16];
    let mut read_for = |span: Duration| {
        let start = clock.now();
        let mut bytes = 0_u64;
        while clock.now().since(start) < span {
            bytes += server.read(&mut buffer)? as u64;
        }
        Ok::<_, io::Error>(
            bytes as f64 * 8.0 / clock.now().since(start).as_secs_f64() / PAYLOAD_SHARE / BITS_PER_S,
        )
    };
    read_for(STREAMED)?;
    let rounds: Vec<f64> = (0..ROUNDS).map(|_| read_for(STREAMED)).collect::<Result<_, _>>()?;
    drop(server);
    sender.join().map_err(|_| io::Error::other("a thread of the calibration panicked"))?;
    let measured = rounds.iter().sum::<f64>() / rounds.len() as f64;
    Ok(Found {
        truth: 1.0,
        measured,
        tolerance: RATE_SHARE,
        n: rounds.len() as u64,
        off_by_round: Vec::new(),
    })
}
