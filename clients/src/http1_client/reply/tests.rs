use proptest::prelude::*;

use super::*;

/// What comes of a stream of bytes: the answer, whether the connection is kept, the body and the
/// bytes behind the reply; else the kind of the error.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Answered(CountedReply, bool, Vec<u8>, usize),
    Waits,
    Reset,
    Protocol,
    Limit,
}

impl From<CallError> for Seen {
    fn from(error: CallError) -> Seen {
        match error {
            CallError::Reset(_) => Seen::Reset,
            CallError::Protocol(_) => Seen::Protocol,
            CallError::Limit(_) => Seen::Limit,
            other => panic!("{other}"),
        }
    }
}

/// Reads pieces as a connection does, and its end where it ends.
fn read_pieces<'a>(asked: ReplyTo, pieces: impl IntoIterator<Item = &'a [u8]>, ends: bool) -> Seen {
    let (mut reader, mut kept, mut body) = (ReplyReader::new(asked), Vec::new(), Vec::new());
    for piece in pieces {
        kept.extend_from_slice(piece);
        match reader.read(&kept, |piece| body.extend_from_slice(piece)) {
            Ok(done) => kept.drain(..done),
            Err(error) => return error.into(),
        };
    }
    if ends && let Err(error) = reader.end(&kept) {
        return error.into();
    }
    let Some(answer) = reader.answer() else { return Seen::Waits };
    assert_eq!(answer.bytes, body.len());
    Seen::Answered(answer, reader.keeps_open(), body, kept.len())
}

pub(super) fn read(asked: ReplyTo, bytes: &[u8], ends: bool) -> Seen {
    read_pieces(asked, [bytes], ends)
}

/// Status, body and whether the connection is kept, of a reply to a GET.
fn get(bytes: &[u8]) -> (u16, String, bool) {
    let seen = read(ReplyTo::Content, bytes, false);
    let Seen::Answered(answer, keeps_open, body, 0) = seen else {
        panic!("{}: {seen:?}", bytes.escape_ascii())
    };
    (answer.status, String::from_utf8(body).unwrap(), keeps_open)
}

/// Whole replies, with what ends their bodies.
pub(super) const REPLIES: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc",
    b"HTTP/1.1 200\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 200 OK\ncontent-length: 3, 3\n\nabc",
    b"\r\n\r\nHTTP/1.1 200 OK\r\nx-folded: a\r\n b\r\ncontent-length:\r\n\t3\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n01 ;x=\"y\"\r\nc\r\n0\r\nx-a: b\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, Chunked\r\n\r\n3;x\r\nabc\r\n000\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\ncontent-length: 300\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 3\r\n\r\nabc",
    b"HTTP/1.1 500 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nuntil the end",
];

/// Streams that are no replies, or are replies that nobody can frame.
pub(super) const WRONG: &[&[u8]] = &[
    b"SSH-2.0-OpenSSH_9.9\r\n",
    b"HTTP/2.0 200 OK\r\n\r\n",
    b"HTTP/1.2 200 OK\r\n\r\n",
    b"ICY 200 OK\r\n\r\n",
    b"\rHTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 099 OK\r\n\r\n",
    b"HTTP/1.1 2000 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n x: folded\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nx y: z\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\ncontent-length: 2, 3\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: +1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 0x1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length:\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 1,\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked;x=y\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10000000000000000\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\nx\n0\n\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1 1\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;x\ny\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nxy",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\rx",
];

#[test]
fn replies_are_read_to_their_end() {
    let abc = |status, keeps_open| (status, "abc".to_owned(), keeps_open);
    let none = |status, keeps_open| (status, String::new(), keeps_open);
    let seen: Vec<_> = REPLIES[..11].iter().map(|reply| get(reply)).collect();
    let mut wanted = vec![abc(200, true); 6];
    wanted.extend([abc(200, false), none(204, true), none(304, true), abc(200, true), none(500, false)]);
    assert_eq!(seen, wanted);
    for reply in &REPLIES[11..] {
        assert_eq!(read(ReplyTo::Content, reply, false), Seen::Waits);
        let seen = read(ReplyTo::Content, reply, true);
        assert!(matches!(seen, Seen::Answered(CountedReply { bytes: 13, .. }, false, _, 0)), "{seen:?}");
    }
}

#[test]
fn what_cannot_be_framed_is_no_reply() {
    for wrong in WRONG {
        assert_eq!(read(ReplyTo::Content, wrong, false), Seen::Protocol, "{}", wrong.escape_ascii());
    }
}

#[test]
fn what_is_asked_for_decides_whether_there_is_a_body() {
    let sized = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc";
    let bytes_and_behind = |asked| match read(asked, sized, false) {
        Seen::Answered(answer, keeps_open, _, behind) => (answer.bytes, keeps_open, behind),
        seen => panic!("{seen:?}"),
    };
    assert_eq!(bytes_and_behind(ReplyTo::Content), (3, true, 0));
    assert_eq!(bytes_and_behind(ReplyTo::HeadOnly), (0, true, 3));
    assert_eq!(bytes_and_behind(ReplyTo::Tunnel), (0, false, 3));
    let beyond = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n";
    assert!(matches!(read(ReplyTo::HeadOnly, beyond, false), Seen::Answered(..)), "it has no body");
    let switched = b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x01x";
    let seen = read(ReplyTo::Upgrade, switched, false);
    assert!(matches!(seen, Seen::Answered(CountedReply { status: 101, .. }, false, _, 3)), "{seen:?}");
    let refused = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 3\r\n\r\nabc";
    assert!(matches!(
        read(ReplyTo::Tunnel, refused, false),
        Seen::Answered(CountedReply { bytes: 3, .. }, true, ..)
    ));
}

#[test]
fn connections_are_kept_as_heads_say() {
    for (fields, http10, http11) in [
        ("", false, true),
        ("connection: close\r\n", false, false),
        ("connection: Keep-Alive\r\n", true, true),
        ("connection: x,, \tCLOSE ,y\r\n", false, false),
        ("connection: keep-alive\r\nconnection: close\r\n", false, false),
        ("connection: closed\r\n", false, true),
        ("connection: keep-alive, x\r\n", true, true),
    ] {
        for (version, kept) in [("1.0", http10), ("1.1", http11)] {
            let reply = format!("HTTP/{version} 200 OK\r\n{fields}content-length: 0\r\n\r\n");
            assert_eq!(get(reply.as_bytes()).2, kept, "{version} {fields}");
        }
    }
    let chunks_in_http10 =
        b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    assert_eq!(get(chunks_in_http10), (200, "abc".to_owned(), false));
}

#[test]
fn everything_has_a_bound() {
    let fields = |count: usize, value: &str| {
        format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{}\r\n", format!("x-a: {value}\r\n").repeat(count))
    };
    assert_eq!(get(fields(FIELDS_USUAL, "b").as_bytes()).0, 200);
    assert_eq!(get(fields(FIELDS_MAX - 1, "b").as_bytes()).0, 200);
    let limit = |bytes: &[u8]| {
        assert_eq!(read(ReplyTo::Content, bytes, false), Seen::Limit);
        assert_eq!(read_pieces(ReplyTo::Content, bytes.chunks(1_000), false), Seen::Limit);
    };
    limit(fields(FIELDS_MAX, "b").as_bytes());
    limit(fields(1, &"b".repeat(HTTP1_HEAD_BYTES_MAX)).as_bytes());
    assert_eq!(get(fields(1, &"b".repeat(HTTP1_HEAD_BYTES_MAX - 50)).as_bytes()).0, 200);
    limit(&[b'\n'; HTTP1_HEAD_BYTES_MAX + 1]);
    limit("HTTP/1.1 103 x\r\n\r\n".repeat(INTERIM_HEADS_MAX + 1).as_bytes());
    limit(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", COUNTED_BYTES_MAX + 1).as_bytes());
    limit(b"HTTP/1.1 200 OK\r\ncontent-length: 9223372036854775808\r\n\r\n");
    let body = vec![b'x'; COUNTED_BYTES_MAX + 1];
    limit(&[b"HTTP/1.1 200 OK\r\n\r\n", &body[..]].concat());
    let chunked = &b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"[..];
    limit(&[chunked, b"ffffffffffffffff\r\n", &body].concat());
    limit(&[chunked, b"1;", &body].concat());
    limit(&[chunked, b"0\r\nx: ", &body].concat());
    limit(&[chunked, b"0\r\n", "x: y\r\n".repeat(10_000).as_bytes()].concat());
}

/// Those of one chunk do not count for the next.
#[test]
fn many_chunks_have_many_digits_and_extensions() {
    let chunks = format!("0000000000000001;{}\r\nx\r\n", "y".repeat(10_000)).repeat(10);
    let reply = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n");
    assert_eq!(get(reply.as_bytes()), (200, "x".repeat(10), true));
}

/// A head of 400 kB, a byte at a time: whoever parses it again for each looks at 80 GB.
#[test]
fn a_head_a_byte_at_a_time_is_looked_at_once() {
    let head = format!("HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n", "x-a: b\r\n".repeat(1_000));
    let padded = head.replace("x-a: b", &format!("x-a: {}", "b".repeat(400)));
    let mut reader = ReplyReader::new(ReplyTo::Content);
    for to in 1..padded.len() {
        assert_eq!(reader.read(&padded.as_bytes()[..to], |_| ()), Ok(0));
    }
    assert_eq!(reader.read(padded.as_bytes(), |_| ()), Ok(padded.len()));
}

/// Most begin as replies do; then parts of replies in any order, and bytes that are none.
pub(super) fn anything() -> impl Strategy<Value = Vec<u8>> {
    let begin = prop_oneof![
        6 => Just(&b"HTTP/1.1 200 OK\r\n"[..]),
        1 => Just(&b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n"[..]),
        1 => Just(&b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"[..]),
        1 => Just(&b""[..]),
    ];
    const PARTS: &[&[u8]] = &[
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 200 OK\n",
        b"HTTP/1.1 204 x\r\n",
        b"HTTP/1.1 100 \r\n",
        b"content-length: 3\r\n",
        b"content-length: 0\r\n",
        b"content-length: x\n",
        b"x-a: b\r\n",
        b" c\r\n",
        b"transfer-encoding: chunked\r\n",
        b"transfer-encoding: gzip\r\n",
        b"connection: close\r\n",
        b"connection: keep-alive\r\n",
        b"\r\n",
        b"\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"abc",
        b"3\r\nabc\r\n",
        b"1;x=y\r\nz\r\n",
        b"0\r\n\r\n",
        b"0\r\nx-a: b\r\n\r\n",
        b"ffffffffffffffff\r\n",
    ];
    let part = prop_oneof![
        20 => prop::sample::select(PARTS).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    let parts = prop::collection::vec(part, 0..10);
    (begin, parts).prop_map(|(begin, parts)| [begin, &parts.concat()].concat())
}

fn any_asked() -> impl Strategy<Value = ReplyTo> {
    prop::sample::select(vec![ReplyTo::Content, ReplyTo::HeadOnly, ReplyTo::Tunnel, ReplyTo::Upgrade])
}

/// The same, cut at these places.
fn cut<'a>(bytes: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect()
}

#[test]
fn replies_are_the_same_wherever_they_are_cut_once() {
    for bytes in REPLIES.iter().chain(WRONG) {
        for ends in [false, true] {
            let whole = read(ReplyTo::Content, bytes, ends);
            assert_eq!(
                read_pieces(ReplyTo::Content, bytes.chunks(1), ends),
                whole,
                "{}",
                bytes.escape_ascii()
            );
            for at in 0..=bytes.len() {
                let (begin, rest) = bytes.split_at(at);
                let halves = read_pieces(ReplyTo::Content, [begin, rest], ends);
                assert_eq!(halves, whole, "{} at {at}", bytes.escape_ascii());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn anything_is_the_same_wherever_it_is_cut(
        bytes in anything(), asked in any_asked(), ends: bool,
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let whole = read(asked, &bytes, ends);
        prop_assert_eq!(&read_pieces(asked, cut(&bytes, &places), ends), &whole);
        prop_assert_eq!(&read_pieces(asked, bytes.chunks(1), ends), &whole);
    }
}
