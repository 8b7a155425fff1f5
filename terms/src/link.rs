//! What lies between clients and servers.

use std::borrow::Cow;
use std::time::Duration;

use crate::ways::{self, Ways, WaysError};

/// A kind of network between clients and servers, the cheapest first.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Link {
    /// This machine's own loopback interface: no privileges, packets up to 64 KiB, both ways
    /// counted together.
    Loopback,
    /// Two hosts (network namespaces) and a cable between them of MTU 1500: packets as on a wire,
    /// each way counted.
    Cable,
    /// Two hosts and a router between them that delays, drops and counts packets.
    Wan(WanLink),
}

/// A link in words, and what they mean.
#[derive(Debug, Clone, PartialEq)]
pub struct WanLink {
    words: String,
    /// What befalls packets.
    pub ways: Box<Ways>,
}

impl WanLink {
    /// Reads words that change a link.
    ///
    /// # Errors
    /// Where they say nothing that a link does.
    pub fn changed(&self, words: &str) -> Result<WanLink, WaysError> {
        let ways = ways::parse(words, Some(*self.ways))?;
        let first = words.split_whitespace().next();
        let anew = ways::PROFILES.iter().any(|profile| Some(profile.name) == first);
        let words = if anew { words.to_owned() } else { format!("{} {words}", self.words) };
        Ok(WanLink { words, ways: Box::new(ways) })
    }

    /// What it is called, or what it does.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// Its delay there and back.
    pub fn round_trip(&self) -> Duration {
        self.ways.up.delay + self.ways.down.delay
    }
}

impl Link {
    /// Its name in files.
    pub fn name(&self) -> &str {
        match self {
            Link::Loopback => "loopback",
            Link::Cable => "cable",
            Link::Wan(link) => link.words(),
        }
    }

    /// Whether packets are lost on it, doubled or overtaken.
    pub fn loses(&self) -> bool {
        matches!(self, Link::Wan(link) if link.ways.lossless() != *link.ways)
    }

    /// The delay there and back that it was given, if it was.
    pub fn round_trip(&self) -> Option<Duration> {
        match self {
            Link::Wan(link) => Some(link.round_trip()).filter(|delay| !delay.is_zero()),
            Link::Loopback | Link::Cable => None,
        }
    }
}

impl TryFrom<String> for Link {
    type Error = String;

    fn try_from(words: String) -> Result<Link, String> {
        match words.as_str() {
            "loopback" => Ok(Link::Loopback),
            "cable" => Ok(Link::Cable),
            _ => match ways::parse(&words, None) {
                Ok(ways) => Ok(Link::Wan(WanLink { words, ways: Box::new(ways) })),
                Err(error) => Err(format!("loopback, cable, or {error}")),
            },
        }
    }
}

impl From<Link> for String {
    fn from(link: Link) -> String {
        link.name().to_owned()
    }
}

impl schemars::JsonSchema for Link {
    fn schema_name() -> Cow<'static, str> {
        "Link".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "`loopback`; `cable`: two hosts (network namespaces) and a veth pair of MTU 1500; or a link with delay, \
                            loss and a rate: a name (`wirebench lab --links`), and what is changed of it",
            "examples": ["loopback", "cable", "ny-london loss=1%"]
        })
    }
}

/// What a run talked over, and why not over what was asked for.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct LinkUsed {
    /// What was used.
    pub link: Link,
    /// Why it is not what the scenario asks for.
    pub instead_because: Option<String>,
    /// The congestion control of contenders that state none, over TCP and QUIC alike: cubic, or
    /// reno where a socket is refused that; absent from older records.
    #[serde(default)]
    pub congestion_control: Option<String>,
}
