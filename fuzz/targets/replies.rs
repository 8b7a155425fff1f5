//! Replies of HTTP/1.1, whole and cut anywhere: the result is the same.
#![no_main]

use clients::CallError;
use clients::http1_client::reply::{CountedReply, ReplyReader, ReplyTo};
use libfuzzer_sys::fuzz_target;

const ASKED: [ReplyTo; 4] = [ReplyTo::Content, ReplyTo::HeadOnly, ReplyTo::Tunnel, ReplyTo::Upgrade];

/// What came of a stream: the answer, whether its connection is kept, bytes behind it; or the kind
/// of the error.
type Seen = Result<(Option<CountedReply>, bool, usize), terms::Failure>;

// The first byte says what was asked for and whether the stream ends, the second where it is cut.
fuzz_target!(|data: &[u8]| {
    let [how, step, bytes @ ..] = data else { return };
    let (asked, ends) = (ASKED[usize::from(how & 3)], how & 4 != 0);
    let whole = read(asked, [bytes], ends);
    let cut = read(asked, bytes.chunks(usize::from(*step).max(1)), ends);
    assert_eq!(whole, cut, "every {step} bytes");
    if let Ok((Some(answer), ..)) = whole {
        assert!(answer.bytes + answer.head_bytes <= bytes.len());
    }
});

fn read<'a>(asked: ReplyTo, pieces: impl IntoIterator<Item = &'a [u8]>, ends: bool) -> Seen {
    let (mut reader, mut kept, mut counted) = (ReplyReader::new(asked), Vec::new(), 0);
    let failure = |error: CallError| error.failure();
    for piece in pieces {
        kept.extend_from_slice(piece);
        let done = reader.read(&kept, |piece| counted += piece.len()).map_err(failure)?;
        kept.drain(..done);
    }
    if ends {
        reader.end(&kept).map_err(failure)?;
    }
    let answer = reader.answer();
    assert!(answer.is_none_or(|answer| answer.bytes == counted));
    Ok((answer, answer.is_some() && reader.keeps_open(), kept.len()))
}
