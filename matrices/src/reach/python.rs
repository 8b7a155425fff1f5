//! Python with nothing but its standard library: `client.py`, isolated from whatever packages a
//! machine has.

use std::process::Command;
use std::time::Duration;

use super::answer::{brief, is_right, printed};
use super::{AS_IS, BY_HAND, Bench, CANNOT, Contender, NOT_INSTALLED, Tried};

const CLIENT: &str = include_str!("client.py");
const TIME_MAX: Duration = Duration::from_secs(15);

pub(super) fn quote(bench: &Bench, contender: Contender) -> anyhow::Result<Tried> {
    let address = bench.address(contender)?;
    let Some(python) = &bench.python else { return Ok(Tried::new(NOT_INSTALLED, "python3 was not found")) };
    let mut command = Command::new(python);
    // Isolated, and without the folder of packages.
    command.args(["-I", "-S", "-c", CLIENT, contender.name(), &address.to_string()]);
    let ran = lab::program::run(&mut command, b"", TIME_MAX, |_| false)?;
    let text = String::from_utf8_lossy(&ran.output);
    if !is_right(contender, &printed(contender, &text)) {
        let errors = String::from_utf8_lossy(&ran.errors);
        let last = errors.lines().last().unwrap_or(if ran.status.is_none() { "no answer" } else { &text });
        return Ok(Tried::new(CANNOT, brief(last)));
    }
    Ok(match contender {
        Contender::Rest | Contender::GraphQl | Contender::Persisted => Tried::new(AS_IS, "urllib"),
        Contender::WebSocket => Tried::new(BY_HAND, "a socket; handshake, mask and frames by hand"),
        Contender::Grpc => Tried::new(BY_HAND, "a socket; HTTP/2 and gRPC frames and protobuf by hand"),
        Contender::GrpcWeb => Tried::new(BY_HAND, "urllib; frames and protobuf by hand"),
        Contender::Tcp => Tried::new(BY_HAND, "a socket; frames and protobuf by hand"),
    })
}
