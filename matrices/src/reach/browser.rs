//! A headless Chromium with a page that tries everything a page can, and tells what it saw.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use files::TemporaryFolder;
use lab::program::Program;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::super::go_on;
use super::answer::{brief, is_right, printed};
use super::nginx::Nginx;
use super::{AS_IS, BY_HAND, Bench, CANNOT, CONTENDERS, Contender, NOT_INSTALLED, Tried};

const PAGE: &str = include_str!("page.html");
/// Time for the browser to start and the page to try everything twice.
const TIME_MAX: Duration = Duration::from_secs(90);
/// Bytes that the page may tell, at most.
const TOLD_BYTES_MAX: usize = 1 << 20;
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
];

/// What the page got of each contender, from its own origin and from the others.
#[derive(Debug, Deserialize)]
struct Told {
    own: BTreeMap<String, Got>,
    other: BTreeMap<String, Got>,
}

#[derive(Debug, Deserialize)]
struct Got {
    got: Option<String>,
    error: Option<String>,
}

/// Tries every contender, from the page's own origin and from another.
pub(super) fn quotes(
    bench: &Bench,
    nginx: Option<&Nginx>,
    stop: &AtomicBool,
) -> anyhow::Result<[Vec<Tried>; 2]> {
    let lacks = match (&bench.chromium, nginx) {
        (None, _) => Some("chromium was not found"),
        (_, None) => Some("nginx was not found, which serves the page"),
        _ => None,
    };
    let told = match (&bench.chromium, nginx) {
        (Some(chromium), Some(nginx)) => Some(told(chromium, nginx, bench, stop)?),
        _ => None,
    };
    let tried = |contender: Contender, of: fn(&Told) -> &BTreeMap<String, Got>| match (&told, lacks) {
        (_, Some(lacks)) => Tried::new(NOT_INSTALLED, lacks),
        (Some(Ok(told)), _) => read(contender, of(told).get(contender.name())),
        (Some(Err(why)), _) => Tried::new(CANNOT, why.clone()),
        (None, None) => Tried::new(NOT_INSTALLED, "the browser was not started"),
    };
    Ok([
        CONTENDERS.map(|contender| tried(contender, |told| &told.own)).into(),
        CONTENDERS.map(|contender| tried(contender, |told| &told.other)).into(),
    ])
}

fn read(contender: Contender, got: Option<&Got>) -> Tried {
    let Some(got) = got else { return Tried::new(CANNOT, "the page said nothing of it") };
    let right = got.got.as_ref().is_some_and(|text| is_right(contender, &printed(contender, text)));
    if !right {
        let said = got.error.as_deref().or(got.got.as_deref()).unwrap_or("nothing");
        return Tried::new(CANNOT, brief(said));
    }
    match contender {
        Contender::WebSocket => Tried::new(AS_IS, "new WebSocket"),
        Contender::Grpc => Tried::new(
            BY_HAND,
            "fetch of bytes through nginx’s grpc_pass; gRPC’s frame and protobuf by hand, its status out of reach in trailers",
        ),
        Contender::GrpcWeb => Tried::new(
            BY_HAND,
            "fetch of bytes; frames and protobuf by hand, its status in the last frame of the body",
        ),
        _ => Tried::new(AS_IS, "fetch"),
    }
}

/// Lets the browser open the page, and waits for what it tells; `Err` within says why nothing came.
fn told(
    chromium: &Path,
    nginx: &Nginx,
    bench: &Bench,
    stop: &AtomicBool,
) -> anyhow::Result<Result<Told, String>> {
    let servers: BTreeMap<&str, String> = CONTENDERS
        .into_iter()
        .map(|contender| Ok((contender.name(), bench.address(contender)?.to_string())))
        .collect::<anyhow::Result<_>>()?;
    std::fs::write(nginx.folder.path().join("page/index.html"), page(&servers)?)?;
    let profile = TemporaryFolder::make().context("making a temporary folder")?;
    let mut command = Command::new(chromium);
    command
        .args(FLAGS)
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("http://{}/", nginx.http))
        .env("HOME", profile.path())
        // Where it leaves folders of its own behind.
        .env("TMPDIR", profile.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // Its debugging port keeps it open until it is ended.
    command.arg("--remote-debugging-port=0");
    let mut browser = Program::start(&mut command).context("starting the browser")?;
    nginx.told.set_nonblocking(true)?;
    let clock = clock::Clock::System;
    let end = clock.now() + TIME_MAX;
    loop {
        go_on(stop)?;
        match nginx.told.accept() {
            Ok((stream, _)) => {
                let told = body(stream).context("reading what the page tells")?;
                return Ok(serde_json::from_slice(&told).map_err(|error| error.to_string()));
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(status) = browser.ended()? {
            return Ok(Err(format!("the browser ended before its page told anything: {status}")));
        }
        if clock.now() >= end {
            return Ok(Err(format!("the page told nothing in {} s", TIME_MAX.as_secs())));
        }
        clock::pause_thread(Duration::from_millis(20));
    }
}

/// The page, which may run its own script and ask the servers, and nothing else.
fn page(servers: &BTreeMap<&str, String>) -> anyhow::Result<String> {
    let page = PAGE.replace("SERVERS", &serde_json::to_string(servers)?);
    let page = page.replace("HASH", &super::curl::hash());
    let script = page.split_once("<script>").and_then(|(_, after)| after.split_once("</script>"));
    let (script, _) = script.context("the page has no script")?;
    let policy = format!("'sha256-{}'", STANDARD.encode(Sha256::digest(script)));
    Ok(page.replacen("POLICY", &policy, 1))
}

/// The body of a request, which nginx sends whole and with its length.
fn body(mut stream: TcpStream) -> anyhow::Result<Vec<u8>> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let (mut all, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let bytes = stream.read(&mut piece)?;
        all.extend_from_slice(&piece[..bytes]);
        let end = all.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&all[..end]).to_lowercase();
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            let length: usize = length.context("no length")?;
            if all.len() >= end + length {
                stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")?;
                return Ok(all[end..end + length].to_vec());
            }
        }
        anyhow::ensure!(bytes > 0 && all.len() < TOLD_BYTES_MAX, "the page's request is not whole");
    }
}
