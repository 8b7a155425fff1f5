//! The experiment `typing`: frozen messages that are wrong, to every contender over a socket. Who
//! catches them: a client whose types cannot express them, the server's stack (decoder, validator),
//! our handler, or nobody?
//!
//! The outcome is read from what the server answered; only what a typed client refuses is a rule,
//! and stands in the cases.

mod cases;
#[cfg(test)]
mod encode;
#[cfg(test)]
mod generate;
#[cfg(test)]
mod generate_more;
mod read;
#[cfg(test)]
mod rule;
mod send;

use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use cases::{Case, Form, Origin};
use read::{Caught, Seen};
use record::matrix::{Apart, Column, MatrixCell, MatrixOutcome, MatrixRow, Part, Tone};
use send::Servers;

use super::{Findings, go_on};

/// The contenders, in the order of the columns.
const CONTENDERS: [Contender; 5] =
    [Contender::RestTyped, Contender::RestDynamic, Contender::GraphQl, Contender::Grpc, Contender::WebSocket];

const CLIENT_LIBRARY: &str = "client library";
const STACK: &str = "stack";
const HANDLER: &str = "our handler";
const BY_DESIGN: &str = "by design";
const NOBODY: &str = "nobody";
const NOT_EXPRESSIBLE: &str = "not expressible";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contender {
    RestTyped,
    RestDynamic,
    GraphQl,
    Grpc,
    WebSocket,
}

impl Contender {
    fn name(self) -> &'static str {
        match self {
            Contender::RestTyped => "rest-typed",
            Contender::RestDynamic => "rest-dynamic",
            Contender::GraphQl => "graphql",
            Contender::Grpc => "grpc",
            Contender::WebSocket => "websocket-json",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Contender::RestTyped => "REST with typed JSON",
            Contender::RestDynamic => "REST with dynamic JSON",
            Contender::GraphQl => "GraphQL",
            Contender::Grpc => "gRPC",
            Contender::WebSocket => "JSON over WebSocket",
        }
    }

    fn means(self) -> &'static str {
        match self {
            Contender::RestTyped => {
                "Our REST server: bodies are read into types by serde, unknown fields are refused. Client: generated from its \
                 OpenAPI description."
            }
            Contender::RestDynamic => {
                "A handler that takes JSON as it comes, each field with a default, and makes numbers of texts: a stand-in for \
                 handlers in dynamic languages that do not validate. Client: fetch and JSON.stringify, without types."
            }
            Contender::GraphQl => {
                "Our GraphQL server: variables are validated against the schema. Client: generated from the schema and the query."
            }
            Contender::Grpc => "Our gRPC server: prost reads messages. Client: generated from market.proto.",
            Contender::WebSocket => {
                "Our WebSocket server with JSON: the same types by serde. Client: written by hand, since no description of its \
                 messages is published."
            }
        }
    }
}

pub(super) fn columns() -> Vec<Column> {
    let column = |of: Contender| Column {
        name: of.name().to_owned(),
        words: of.words().to_owned(),
        means: of.means().to_owned(),
    };
    CONTENDERS.map(column).to_vec()
}

pub(super) fn outcomes() -> Vec<MatrixOutcome> {
    let outcome = |name: &str, rank, tone, glyph: &str, apart, means: &str| MatrixOutcome {
        name: name.to_owned(),
        means: means.to_owned(),
        rank,
        tone,
        glyph: glyph.to_owned(),
        apart,
    };
    vec![
        outcome(
            CLIENT_LIBRARY,
            0,
            Tone::Best,
            "●",
            None,
            "The types of a client that is generated from the contract cannot express it: it is never sent.",
        ),
        outcome(
            STACK,
            1,
            Tone::Good,
            "◆",
            None,
            "The server’s decoder or validator refuses it before our handler sees it.",
        ),
        outcome(HANDLER, 2, Tone::Fair, "▲", None, "Our handler’s own validation refuses it."),
        outcome(
            BY_DESIGN,
            2,
            Tone::Neutral,
            "○",
            None,
            "Accepted, and what was meant was done: the format allows for it. There was nothing to catch.",
        ),
        outcome(
            NOBODY,
            3,
            Tone::Bad,
            "✕",
            None,
            "Accepted: something of it was dropped, defaulted or taken for something else, and nobody said so.",
        ),
        outcome(
            NOT_EXPRESSIBLE,
            4,
            Tone::Neutral,
            "–",
            Some(Apart::NotApplicable),
            "The protocol has no such bytes; left out where contenders are compared.",
        ),
    ]
}

pub(super) fn run(stop: &AtomicBool, tell: &mut dyn FnMut(&str)) -> anyhow::Result<Findings> {
    let cases = cases::frozen().context("the frozen cases")?;
    let runtime = clients::local_runtime()?;
    runtime.block_on(async {
        let servers = Servers::start().await?;
        let mut cells = Vec::new();
        for contender in CONTENDERS {
            tell(&format!("{}: {} cases", contender.name(), cases.len()));
            servers.check(contender).await?;
            for case in &cases {
                go_on(stop)?;
                cells.push(cell(&servers, contender, case).await?);
            }
        }
        servers.stop().await;
        Ok(Findings {
            rows: cases.iter().map(row).collect(),
            cells,
            missing: Vec::new(),
            method: method(&cases),
        })
    })
}

fn row(case: &Case) -> MatrixRow {
    MatrixRow { name: case.name.clone(), group: case.group.clone(), words: case.words.clone() }
}

async fn cell(servers: &Servers, contender: Contender, case: &Case) -> anyhow::Result<MatrixCell> {
    let cell = |outcome: &str, detail: String, on_the_wire| MatrixCell {
        row: case.name.clone(),
        column: contender.name().to_owned(),
        outcome: outcome.to_owned(),
        detail,
        on_the_wire,
    };
    let refused = refused(contender, case);
    let seen = match servers.send(contender, case).await? {
        Ok(seen) => seen,
        Err(why) => {
            // Whatever a client would say of it: there is nothing that it could send.
            return Ok(cell(NOT_EXPRESSIBLE, why, None));
        }
    };
    let (wire, detail) = outcome(&seen, case.meant.as_ref());
    Ok(match refused {
        None => cell(wire, detail, None),
        Some(why) => {
            let detail = format!("{why}. Sent all the same: {wire}: {detail}");
            cell(CLIENT_LIBRARY, detail, Some(wire.to_owned()))
        }
    })
}

/// Why the contender's client cannot be made to send it, where it cannot.
fn refused(contender: Contender, case: &Case) -> Option<&str> {
    if case.origin != Origin::Caller {
        return None;
    }
    let refused = match contender {
        Contender::RestTyped => &case.refused_by.openapi,
        Contender::GraphQl => &case.refused_by.graphql,
        Contender::Grpc => &case.refused_by.protobuf,
        Contender::RestDynamic | Contender::WebSocket => &None,
    };
    refused.as_deref()
}

/// What an answer means, and the answer in words.
fn outcome(seen: &Seen, meant: Option<&serde_json::Value>) -> (&'static str, String) {
    let detail = seen.detail.clone();
    match &seen.caught {
        Caught::Stack => (STACK, detail),
        Caught::Handler => (HANDLER, detail),
        Caught::Accepted(order) if meant.is_some() && order.as_ref() == meant => (BY_DESIGN, detail),
        Caught::Accepted(_) => (NOBODY, detail),
    }
}

fn method(cases: &[Case]) -> Vec<Part> {
    let count = |origin| cases.iter().filter(|case| case.origin == origin).count();
    let not_expressible = |is: fn(&Case) -> bool| cases.iter().filter(|case| is(case)).count();
    vec![
        Part::new(
            "cases",
            format!(
                "{}, generated as field × mutation and frozen in src/matrix/typing/cases.json with the bytes that each contender \
                 is sent: {} mistakes of a caller, {} bodies that are not whole, {} differences between two versions of the \
                 contract",
                cases.len(),
                count(Origin::Caller),
                count(Origin::Wire),
                count(Origin::Version)
            ),
        ),
        Part::new(
            "sent",
            "each over a connection of its own to a server in this process, on loopback: HTTP/1.1 for REST and GraphQL, HTTP/2 for \
             gRPC, a text message for WebSocket; a right message first, which must be answered rightly",
        ),
        Part::new(
            "stack or handler",
            "by who made the error: our market’s carry its code (the problem’s `code`, GraphQL’s `extensions.code`, a gRPC status \
             other than INTERNAL, UNIMPLEMENTED or OUT_OF_RANGE, a fault that is not about decoding)",
        ),
        Part::new(
            "client library",
            "a rule about types, one for all cases: what clients in Rust made by openapi-generator, graphql_client and prost cannot \
             be made to send by a program that compiles. Only mistakes of a caller are asked of it; the bytes are sent all the same, \
             and what came of them stands in each cell",
        ),
        Part::new(
            "accepted",
            "‘by design’ where the message has one meaning and the receipt shows that it was done; ‘nobody’ otherwise",
        ),
        Part::new(
            "not expressible",
            format!(
                "{} cases in REST, {} in GraphQL, {} in gRPC, {} over WebSocket: no null, no names and no lists of one in protobuf, \
                 no types in paths and queries, no field numbers in JSON",
                not_expressible(|case| matches!(case.rest, Form::NotExpressible { .. })),
                not_expressible(|case| matches!(case.graphql, Form::NotExpressible { .. })),
                not_expressible(|case| matches!(case.grpc, Form::NotExpressible { .. })),
                not_expressible(|case| matches!(case.websocket, Form::NotExpressible { .. }))
            ),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// `UPDATE_FILES=1 cargo test` writes them anew.
    #[test]
    fn the_frozen_cases_are_those_that_are_generated() {
        let cases = generate::cases();
        let lines: Vec<String> = cases.iter().map(|case| serde_json::to_string(case).unwrap()).collect();
        let current = format!("[\n{}\n]\n", lines.join(",\n"));
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/typing/cases.json");
        if std::env::var_os("UPDATE_FILES").is_some() {
            std::fs::write(path, &current).unwrap();
        }
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        assert!(stored == current, "cases.json is out of date: run with UPDATE_FILES=1");
        assert_eq!(serde_json::from_str::<Vec<Case>>(&stored).unwrap(), cases);
    }

    #[test]
    fn cases_have_names_of_their_own_and_right_bytes() {
        let cases = generate::cases();
        let names: HashSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names.len(), cases.len());
        assert!((60..=120).contains(&cases.len()), "{}", cases.len());
        let reordered = cases.iter().find(|case| case.name == "version: another order of fields").unwrap();
        let Form::Sent(grpc) = &reordered.grpc else { panic!("{reordered:?}") };
        let bytes = cases::from_hex(&grpc.data).unwrap();
        let message: proto::v1::OrderRequest =
            proto::encoding::Encoding::Protobuf.decode(&bytes[5..]).unwrap();
        assert_eq!(serde_json::to_value(message.order.unwrap()).unwrap(), *reordered.meant.as_ref().unwrap());
    }
}
