//! A server of HTTP/2 without a library (RFC 9113): what libraries do not let one do.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How it serves.
#[derive(Clone, Copy)]
pub(crate) enum Manner {
    /// Says GOAWAY with a code at the so-manieth request of a connection, answers those up to it,
    /// and no later ones.
    GoesAway(usize, u32),
    /// Refuses each so-manieth stream.
    Refuses(usize),
    /// Lets so many streams be open, and refuses more.
    Streams(u32),
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const REFUSED_STREAM: u32 = 7;
const MAX_CONCURRENT_STREAMS: u16 = 3;
/// `:status: 200`, of the static table (RFC 7541, appendix A).
const STATUS_200: u8 = 0x88;
/// How long an answer takes.
const ANSWER_TIME: Duration = Duration::from_millis(20);

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut out = vec![length[1], length[2], length[3], kind, flags];
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}

/// Serves a connection to its end.
pub(crate) fn serve(stream: TcpStream, manner: Manner) {
    // Its end is the client's concern.
    let _ = serve_frames(stream, manner);
}

fn serve_frames(mut stream: TcpStream, manner: Manner) -> io::Result<()> {
    stream.read_exact(&mut [0; 24])?;
    let writer = Arc::new(Mutex::new(stream.try_clone()?));
    let say = |bytes: Vec<u8>| writer.lock().unwrap().write_all(&bytes);
    let settings = match manner {
        Manner::Streams(max) => [&MAX_CONCURRENT_STREAMS.to_be_bytes()[..], &max.to_be_bytes()].concat(),
        _ => Vec::new(),
    };
    say(frame(SETTINGS, 0, 0, &settings))?;
    let open = Arc::new(Mutex::new(0));
    let (mut nth, mut gone) = (0, false);
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut payload)?;
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        match head[3] {
            SETTINGS if head[4] & ACK == 0 => say(frame(SETTINGS, ACK, 0, &[]))?,
            PING if head[4] & ACK == 0 => say(frame(PING, ACK, 0, &payload))?,
            HEADERS if !gone => {
                nth += 1;
                let refuses = match manner {
                    Manner::Refuses(each) => nth % each == 0,
                    Manner::Streams(max) => *open.lock().unwrap() >= max,
                    Manner::GoesAway(..) => false,
                };
                if refuses {
                    say(frame(RST_STREAM, 0, id, &REFUSED_STREAM.to_be_bytes()))?;
                    continue;
                }
                *open.lock().unwrap() += 1;
                let (writer, open) = (Arc::clone(&writer), Arc::clone(&open));
                std::thread::spawn(move || {
                    clock::pause_thread(ANSWER_TIME);
                    *open.lock().unwrap() -= 1;
                    let answer =
                        [frame(HEADERS, END_HEADERS, id, &[STATUS_200]), frame(DATA, END_STREAM, id, b"ok")];
                    writer.lock().unwrap().write_all(&answer.concat())
                });
                if let Manner::GoesAway(at, code) = manner
                    && nth == at
                {
                    gone = true;
                    say(frame(GOAWAY, 0, 0, &[id.to_be_bytes(), code.to_be_bytes()].concat()))?;
                }
            }
            _ => {}
        }
    }
}
