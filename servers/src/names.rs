//! Name servers for one name, the market's: one that knows where it is, and resolver caches that
//! ask that one and remember.

mod cache;
mod zone;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::proto::op::{MessageType, Metadata, OpCode, ResponseCode};
use hickory_server::proto::rr::rdata::{A, SOA};
use hickory_server::proto::rr::{Name, RData, Record, RecordType};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::net::UdpSocket;

use crate::Shutdown;
use crate::protocols::Running;

pub use cache::Cache;
pub use zone::Zone;

/// The zone that is answered for.
const ZONE: &str = "wirebench.test.";

/// What is known of the market's name ([`proto::MARKET_NAME`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// Where it is, in the order in which callers should try.
    pub each: Vec<Ipv4Addr>,
    /// For how long that may be remembered, in s.
    pub ttl_s: u32,
}

impl Addresses {
    /// The same in another order: it begins with another address at each turn (as BIND's `cyclic`).
    fn at_turn(mut self, turn: usize) -> Addresses {
        let by = turn.checked_rem(self.each.len()).unwrap_or(0);
        self.each.rotate_left(by);
        self
    }
}

/// Who knows it.
#[async_trait::async_trait]
pub trait Resolves: Send + Sync + Unpin + 'static {
    /// What it knows now; `None` where it cannot find out.
    async fn addresses(&self) -> Option<Addresses>;
}

/// Binds, and answers questions for the market's name until `shutdown`: over UDP, from what
/// `resolves` knows.
///
/// # Errors
/// The system's, where it refuses the address.
pub async fn start(
    address: SocketAddr,
    resolves: Arc<dyn Resolves>,
    shutdown: Shutdown,
) -> io::Result<Running> {
    let socket = UdpSocket::bind(address).await?;
    let address = socket.local_addr()?;
    let mut server = Server::new(Answers::new(resolves).map_err(io::Error::other)?);
    server.register_socket(socket);
    let task = tokio::spawn(async move {
        shutdown.cancelled().await;
        if let Err(error) = server.shutdown_gracefully().await {
            tracing::debug!("the name server: {error}");
        }
    });
    Ok(Running { address, task })
}

/// Answers for the zone, in which there is one name.
struct Answers {
    zone: Name,
    market: Name,
    resolves: Arc<dyn Resolves>,
}

/// What an answer says: its code, its records, and the zone's own record where it has none.
type Answer = (ResponseCode, Vec<Record>, Option<Record>);

impl Answers {
    fn new(resolves: Arc<dyn Resolves>) -> Result<Answers, hickory_server::proto::ProtoError> {
        let (zone, market) = (Name::from_ascii(ZONE)?, Name::from_ascii(proto::MARKET_NAME)?);
        Ok(Answers { zone, market, resolves })
    }

    /// A name of the zone that is not there, or has no such record, is said by its authority (RFC
    /// 2308, section 2); other names are nobody's here.
    async fn to(&self, request: &Request) -> Answer {
        let Ok(info) = request.request_info() else { return (ResponseCode::FormErr, Vec::new(), None) };
        if info.metadata.op_code != OpCode::Query {
            return (ResponseCode::NotImp, Vec::new(), None);
        }
        let name = Name::from(info.query.name());
        if !self.zone.zone_of(&name) {
            return (ResponseCode::Refused, Vec::new(), None);
        }
        let authority = SOA::new(self.zone.clone(), self.zone.clone(), 0, 0, 0, 0, 0);
        let authority = Record::from_rdata(self.zone.clone(), 0, RData::SOA(authority));
        if name != self.market && name != self.zone {
            return (ResponseCode::NXDomain, Vec::new(), Some(authority));
        }
        match info.query.query_type() {
            RecordType::SOA if name == self.zone => (ResponseCode::NoError, vec![authority], None),
            RecordType::A if name == self.market => match self.resolves.addresses().await {
                None => (ResponseCode::ServFail, Vec::new(), None),
                Some(Addresses { each, .. }) if each.is_empty() => {
                    (ResponseCode::NoError, Vec::new(), Some(authority))
                }
                Some(Addresses { each, ttl_s }) => {
                    let record = |address| Record::from_rdata(name.clone(), ttl_s, RData::A(A(address)));
                    (ResponseCode::NoError, each.into_iter().map(record).collect(), None)
                }
            },
            _ => (ResponseCode::NoError, Vec::new(), Some(authority)),
        }
    }
}

#[async_trait::async_trait]
impl RequestHandler for Answers {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response: R,
    ) -> ResponseInfo {
        let (code, records, authority) = self.to(request).await;
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.response_code = code;
        metadata.authoritative = true;
        // Caches of ours, and the stub resolvers that ask them, take recursion for granted.
        metadata.recursion_available = true;
        let answer = MessageResponseBuilder::from_message_request(request);
        let answer = answer.build(metadata, &records, [], &authority, []);
        response.send_response(answer).await.unwrap_or_else(|error| {
            tracing::debug!("answering a question for a name: {error}");
            let mut failed = Metadata::new(request.metadata.id, MessageType::Response, OpCode::Query);
            failed.response_code = ResponseCode::ServFail;
            let counts = hickory_server::proto::op::HeaderCounts::default();
            ResponseInfo::from(hickory_server::proto::op::Header { metadata: failed, counts })
        })
    }
}

#[cfg(test)]
mod tests;
