//! The hostile corpus: each file in `tests/corpus` is an input with its right answer, run against
//! every server that it names, in a process of their own. One test a folder, so that a failure
//! names it; README.md there says how a file is written.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at what it did not expect")]
#![allow(clippy::print_stderr, reason = "a test says what it found")]

mod corpus_runner;

use std::path::Path;

use corpus_runner::folder::{folders, inputs, run};
use corpus_runner::input::Input;
use corpus_runner::{process, table};

/// Ticks per second, where a few are enough.
const FEW_TICKS: f64 = 100.0;
/// Where a kilobyte of subscriptions is to keep a server busy.
const MANY_TICKS: f64 = 2_000.0;
/// Fewer would be no corpus.
const INPUTS_MIN: usize = 500;

/// Declares the test of each folder, and the list of them.
macro_rules! folders {
    ($($folder:ident at $ticks:expr),* $(,)?) => {
        const FOLDERS: &[&str] = &[$(stringify!($folder)),*];
        $(
            #[test]
            fn $folder() {
                run(stringify!($folder), $ticks);
            }
        )*
    };
}

folders! {
    graphql at FEW_TICKS,
    graphql_websocket at FEW_TICKS,
    grpc at FEW_TICKS,
    http1 at FEW_TICKS,
    http2 at FEW_TICKS,
    quic at FEW_TICKS,
    rest at FEW_TICKS,
    sse at FEW_TICKS,
    tcp at FEW_TICKS,
    tls at FEW_TICKS,
    udp at MANY_TICKS,
    websocket at FEW_TICKS,
}

/// Behind a balancer at layer 7 the answers are the same: what it does not refuse itself, the
/// server does.
mod balanced {
    use super::{FEW_TICKS, corpus_runner::folder::run_balanced};

    /// A request for an upgrade that has a body, which never comes, is told so after a time.
    const HAS_A_BODY: &str = "body.txt";
    /// Who closes its half of a connection before the answer is taken to have left, as by nginx.
    const CLOSES_ITS_HALF: &str = "method-head.txt";

    /// Who speaks HTTP/1.1 to a server of gRPC is told so by the balancer, and not cut off.
    const SPEAKS_HTTP1: &str = "finding-15-http1-call.txt";
    /// One process makes 256 long histories and passes them on here: too slow, unless optimised,
    /// for a good call beside it.
    const MUCH_WORK: [&str; 3] =
        ["finding-05-unread.txt", "finding-05-window-0.txt", "finding-05-window-0-on-ten.txt"];

    #[test]
    fn grpc() {
        run_balanced("grpc", FEW_TICKS, &[&[SPEAKS_HTTP1], &MUCH_WORK[..]].concat());
    }

    #[test]
    fn http1() {
        run_balanced("http1", FEW_TICKS, &[CLOSES_ITS_HALF]);
    }

    #[test]
    fn rest() {
        run_balanced("rest", FEW_TICKS, &[]);
    }

    #[test]
    fn sse() {
        run_balanced("sse", FEW_TICKS, &[]);
    }

    #[test]
    fn websocket() {
        run_balanced("websocket", FEW_TICKS, &[HAS_A_BODY]);
    }
}

/// Not a test: the process of the servers.
#[test]
#[ignore = "the corpus starts it as the process of its servers"]
fn serves_as_a_child() {
    process::serve_as_child();
}

#[test]
fn every_folder_has_a_test_and_every_file_can_be_read() {
    assert_eq!(folders(), FOLDERS);
    let mut tries: Vec<String> = Vec::new();
    for folder in FOLDERS {
        for input in inputs(folder).unwrap_or_else(|error| panic!("{error}")) {
            tries.push(format!("{:?} {}", input.servers, input.tries));
        }
    }
    assert!(tries.len() >= INPUTS_MIN, "only {} inputs", tries.len());
    tries.sort();
    let twice: Vec<_> = tries.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(twice.is_empty(), "said to be tried twice: {twice:#?}");
}

#[test]
fn the_documented_counts_are_those_of_the_files() {
    let counted: Vec<(String, usize)> =
        FOLDERS.iter().map(|folder| ((*folder).to_owned(), inputs(folder).unwrap().len())).collect();
    let hint = "docs/HOSTILE_CORPUS.md is out of date: run with UPDATE_FILES=1";
    assert_eq!(table::documented_counts(), counted, "{hint}");
    assert!(table::is_head_current(), "{hint}");
}

#[test]
fn a_file_that_is_wrong_is_refused_with_its_line() {
    let head = "protocol: rest\ntries: a test\nanswer: 400\n\n";
    for (text, line, said) in [
        ("protocol: gopher\n\n", 1, "gopher"),
        ("protocol: udp over tls\n\n", 1, "not carried"),
        ("protocol: rest\nanswer: maybe\n\n", 2, "maybe"),
        ("protocol: rest\ncolour: red\n\n", 2, "colour"),
        ("protocol: rest\nprotocol: tcp\n\n", 2, "twice"),
        ("protocol: rest\ntries: a test\n\n", 3, "no `answer`"),
        ("protocol: rest", 1, "no blank line"),
        ("protocol: rest\ntries: a test\nanswer: 400\nreads: no\n\n", 5, "any"),
        (&format!("{head}| GET \\q"), 5, "\\q"),
        (&format!("{head}| a\nnonsense 7\n"), 6, "nonsense"),
        (&format!("{head}post /graphql\n| a\n"), 5, "`end`"),
        (&format!("{head}text\npause 5 ms\nend\n"), 5, "only bytes"),
        (&format!("{head}# why\nhex 0g\n"), 6, "0g"),
        (&format!("{head}h2 data 0 2m+1 | a\n"), 5, "2m+1"),
    ] {
        let error = Input::parse(Path::new("file"), text).map(|_| ()).unwrap_err();
        assert!(error.line == line && error.problem.contains(said), "{text:?}: {error}");
        assert!(error.to_string().starts_with(&format!("file:{line}: ")));
    }
}
