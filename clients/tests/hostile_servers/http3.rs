//! Servers of HTTP/3, frame by frame (RFC 9114).

use std::net::SocketAddr;

use quinn::Connection;
use terms::{Failure, HttpVersion};

use crate::case::{Case, Client, Expect, rest};
use crate::quic::{each_stream, flood, serve};

const MANY: u32 = 100;

/// Bytes that say a length of 2^62 - 1.
const LONGEST: &[u8] = &[0xff; 8];
/// A head: no dynamic table, `:status: 200` of the static one (RFC 9204, appendix A).
const HEAD_200: &[u8] = b"\x01\x03\x00\x00\xd9";
/// The same with `:status: 103`.
const HEAD_103: &[u8] = b"\x01\x03\x00\x00\xd8";

/// Answers each request with some bytes, and then with others for ever.
async fn endless(connection: Connection, answer: fn() -> (Vec<u8>, Vec<u8>)) {
    // Settings of which there are none.
    let Ok(mut control) = connection.open_uni().await else { return };
    let _ = control.write_all(b"\x00\x04\x00").await;
    while let Ok((mut sender, receiver)) = connection.accept_bi().await {
        tokio::spawn(async move {
            let (begin, rest) = answer();
            flood(&mut sender, &begin, &rest).await;
            drop(receiver);
        });
    }
}

fn long_head() -> SocketAddr {
    serve(b"h3", MANY, |connection| {
        Box::pin(endless(connection, || ([&[0x01], LONGEST].concat(), b"x".to_vec())))
    })
}

fn long_unknown_frame() -> SocketAddr {
    serve(b"h3", MANY, |connection| {
        Box::pin(endless(connection, || ([&[0x21], LONGEST].concat(), b"x".to_vec())))
    })
}

fn unknown_frames() -> SocketAddr {
    serve(b"h3", MANY, |connection| Box::pin(endless(connection, || (Vec::new(), b"\x21\x02ab".to_vec()))))
}

fn interim_heads() -> SocketAddr {
    serve(b"h3", MANY, |connection| Box::pin(endless(connection, || (Vec::new(), HEAD_103.to_vec()))))
}

fn data_without_end() -> SocketAddr {
    serve(b"h3", MANY, |connection| {
        Box::pin(endless(connection, || {
            (HEAD_200.to_vec(), [&[0x00, 0x43, 0xe8][..], &[b'x'; 1_000]].concat())
        }))
    })
}

fn one_data_without_end() -> SocketAddr {
    serve(b"h3", MANY, |connection| {
        Box::pin(endless(connection, || ([HEAD_200, &[0x00], LONGEST].concat(), b"x".to_vec())))
    })
}

fn empty_data() -> SocketAddr {
    serve(b"h3", MANY, |connection| Box::pin(endless(connection, || (HEAD_200.to_vec(), vec![0x00, 0x00]))))
}

fn data_before_a_head() -> SocketAddr {
    serve(b"h3", MANY, |connection| {
        Box::pin(endless(connection, || (vec![0x00, 0x01, 0x78], vec![0x00, 0x00])))
    })
}

fn garbage() -> SocketAddr {
    serve(b"h3", MANY, |connection| {
        Box::pin(endless(connection, || (Vec::new(), b"HTTP/1.1 200 OK".to_vec())))
    })
}

fn long_settings() -> SocketAddr {
    serve(b"h3", MANY, |connection| {
        Box::pin(async move {
            let Ok(mut control) = connection.open_uni().await else { return };
            flood(&mut control, &[&[0x00, 0x04], LONGEST].concat(), b"x").await;
        })
    })
}

fn goaways() -> SocketAddr {
    serve(b"h3", MANY, |connection| {
        Box::pin(async move {
            let Ok(mut control) = connection.open_uni().await else { return };
            flood(&mut control, b"\x00\x04\x00", b"\x07\x01\x00").await;
        })
    })
}

/// Answers so many requests of a connection, and refuses the others before they are processed (RFC
/// 9114, section 4.1.1); may say beforehand that it goes away.
async fn answers(connection: Connection, answered: usize, goes_away: bool) {
    let Ok(mut control) = connection.open_uni().await else { return };
    let _ = control.write_all(b"\x00\x04\x00").await;
    for nth in 0.. {
        let Ok((mut sender, mut receiver)) = connection.accept_bi().await else { return };
        if nth < answered {
            let _ = sender.write_all(HEAD_200).await;
            let _ = sender.finish();
            let _ = receiver.read_to_end(16 << 10).await;
        } else {
            let _ = sender.reset(H3_REQUEST_REJECTED.into());
            let _ = receiver.stop(H3_REQUEST_REJECTED.into());
        }
        if goes_away && nth + 1 == answered {
            // The streams of a client that go both ways are numbered by fours.
            let first_refused = u8::try_from(answered * 4).unwrap();
            let _ = control.write_all(&[0x07, 0x01, first_refused]).await;
        }
    }
}

const H3_REQUEST_REJECTED: u32 = 0x10b;

fn goes_away() -> SocketAddr {
    serve(b"h3", MANY, |connection| Box::pin(answers(connection, 4, true)))
}

fn refuses_the_fifth() -> SocketAddr {
    serve(b"h3", MANY, |connection| Box::pin(answers(connection, 4, false)))
}

fn resets_each_stream() -> SocketAddr {
    serve(b"h3", MANY, |connection| {
        Box::pin(each_stream(connection, |mut sender| async move {
            let _ = sender.reset(H3_REQUEST_REJECTED.into());
        }))
    })
}

fn no_streams() -> SocketAddr {
    serve(b"h3", 0, |connection| Box::pin(async move { drop(connection.closed().await) }))
}

const HTTP3: Client = Client::Https(HttpVersion::Http3);
const REST: Client = Client::Market(rest(HttpVersion::Http3));
const WRONG: Expect = Expect::Fails(&[Failure::Protocol, Failure::Limit, Failure::Reset]);
const OVER: Expect = Expect::Fails(&[Failure::Limit]);
const LATE: Expect = Expect::Fails(&[Failure::TimedOut]);
/// No stream may be opened, so that no call is sent.
const UNSENT: Expect = Expect::Fails(&[Failure::Dropped]);
const ENDLESS: Expect = Expect::Fails(&[Failure::Limit, Failure::TimedOut]);

pub(crate) const CASES: &[Case] = &[
    Case::new("http/3: a head without end", long_head, HTTP3, OVER),
    Case::new("http/3: a head without end: rest", long_head, REST, OVER),
    Case::new("http/3: an unknown frame without end", long_unknown_frame, HTTP3, OVER),
    Case::new("http/3: unknown frames without end", unknown_frames, HTTP3, LATE),
    Case::new("http/3: interim heads without end", interim_heads, HTTP3, OVER),
    Case::new("http/3: DATA without end", data_without_end, HTTP3, ENDLESS),
    Case::new("http/3: DATA without end: rest", data_without_end, REST, ENDLESS).with_replies(),
    Case::new("http/3: one DATA without end", one_data_without_end, HTTP3, ENDLESS),
    Case::new("http/3: empty DATA without end", empty_data, HTTP3, Expect::Ends),
    Case::new("http/3: DATA before a head", data_before_a_head, HTTP3, WRONG),
    Case::new("http/3: garbage", garbage, HTTP3, LATE),
    Case::new("http/3: SETTINGS without end", long_settings, HTTP3, WRONG),
    Case::new("http/3: GOAWAY without end", goaways, HTTP3, Expect::Ends),
    Case::new("http/3: resets each stream", resets_each_stream, HTTP3, WRONG),
    Case::new("http/3: no streams", no_streams, HTTP3, UNSENT),
    Case::new("http/3: goes away after four", goes_away, HTTP3, Expect::AllWork),
    Case::new("http/3: refuses what comes after four", refuses_the_fifth, HTTP3, Expect::AllWork),
];

#[test]
fn hostile_http3() {
    crate::parent::check(CASES);
}
