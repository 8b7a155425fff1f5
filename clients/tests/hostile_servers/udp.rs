//! Servers of datagrams.

use std::collections::HashSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread;

use proto::frame::{Frame, Kind};
use terms::{Carriage, Failure};

use crate::case::{Case, Client, Expect};
use crate::frames::frame;

/// Answers each datagram with those that are made of it; `None` for no answer.
pub(crate) fn serve(answer: fn(&[u8]) -> Vec<Vec<u8>>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut bytes = [0; 65_536];
        loop {
            // What the kernel says of an answer that nobody took.
            let Ok((received, from)) = socket.recv_from(&mut bytes) else { continue };
            for datagram in answer(&bytes[..received]) {
                let _ = socket.send_to(&datagram, from);
            }
        }
    });
    address
}

/// Sends datagrams to whoever has called, at full rate, until nobody is there.
fn flood(datagram: &'static [u8]) -> SocketAddr {
    let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let (mut bytes, mut flooded) = ([0; 65_536], HashSet::new());
        loop {
            let Ok((_, from)) = socket.recv_from(&mut bytes) else { continue };
            if !flooded.insert(from) {
                continue;
            }
            let socket = Arc::clone(&socket);
            thread::spawn(move || {
                let began = clock::Clock::System.now();
                while clock::Clock::System.now().since(began) < crate::child::DURATION * 2 {
                    let _ = socket.send_to(datagram, from);
                }
            });
        }
    });
    address
}

fn id_of(datagram: &[u8]) -> u32 {
    Frame::from_datagram(datagram).map_or(0, |frame| frame.id)
}

fn silent() -> SocketAddr {
    serve(|_| Vec::new())
}

fn nobody() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn garbage() -> SocketAddr {
    serve(|_| vec![b"garbage".to_vec()])
}

fn garbage_flood() -> SocketAddr {
    flood(b"garbage")
}

fn nothing_flood() -> SocketAddr {
    flood(b"")
}

fn ids_never_asked_flood() -> SocketAddr {
    flood(b"\x00\x00\x00\x05\xde\xad\xbe\xef\x81")
}

fn challenges() -> SocketAddr {
    flood(b"\x00\x00\x00\x0d\x00\x00\x00\x00\x8aabcdefgh")
}

fn replies_many_times() -> SocketAddr {
    serve(|datagram| vec![frame(id_of(datagram), Kind::Quote, b""); 100])
}

fn huge_datagrams() -> SocketAddr {
    serve(|datagram| vec![frame(id_of(datagram), Kind::Quote, &[b'x'; 60_000]); 10])
}

fn empty_replies() -> SocketAddr {
    serve(|_| vec![Vec::new()])
}

const UDP: Client = Client::Udp;
const FRAMES: Client = Client::Market(Carriage::Udp);
const SUBSCRIBER: Client = Client::Subscriber(Carriage::Udp);
const LATE: Expect = Expect::Fails(&[Failure::TimedOut]);
const REFUSED: Expect = Expect::Fails(&[Failure::Refused]);
const WRONG: Expect = Expect::Fails(&[Failure::Protocol, Failure::WrongReply, Failure::Reset]);

pub(crate) const CASES: &[Case] = &[
    Case::new("udp: silent", silent, UDP, LATE),
    Case::new("udp: silent: frames", silent, FRAMES, LATE),
    Case::new("udp: nobody", nobody, UDP, REFUSED),
    Case::new("udp: nobody: frames", nobody, FRAMES, REFUSED),
    Case::new("udp: garbage: frames", garbage, FRAMES, WRONG),
    Case::new("udp: a flood", garbage_flood, UDP, WRONG),
    Case::new("udp: a flood of garbage: frames", garbage_flood, FRAMES, WRONG),
    Case::new("udp: a flood of garbage: a subscriber", garbage_flood, SUBSCRIBER, Expect::Ends),
    Case::new("udp: a flood of nothing", nothing_flood, UDP, WRONG),
    Case::new("udp: a flood of ids never asked", ids_never_asked_flood, FRAMES, LATE),
    Case::new("udp: a flood of challenges", challenges, FRAMES, LATE),
    Case::new("udp: replies many times", replies_many_times, FRAMES, Expect::Ends),
    Case::new("udp: huge datagrams", huge_datagrams, FRAMES, WRONG),
    Case::new("udp: huge datagrams, counted", huge_datagrams, UDP, Expect::Ends),
    Case::new("udp: empty replies", empty_replies, UDP, Expect::Works),
];

#[test]
fn hostile_datagrams() {
    crate::parent::check(CASES);
}
