//! A name server for one name, the market's: who looks it up is told to forget it at once (a time
//! to live of 0).

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hickory_server::Server;
use hickory_server::net::runtime::TokioRuntimeProvider;
use hickory_server::proto::rr::rdata::{A, SOA};
use hickory_server::proto::rr::{Name, RData, Record};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneType};
use tokio::net::UdpSocket;

use crate::Shutdown;
use crate::protocols::Running;

/// The zone that it answers for.
const ZONE: &str = "wirebench.test.";

/// Binds, and answers that the market's name ([`proto::MARKET_NAME`]) is at `market`, until
/// `shutdown`.
///
/// # Errors
/// The system's, where it refuses the address.
pub async fn start(address: SocketAddr, market: Ipv4Addr, shutdown: Shutdown) -> io::Result<Running> {
    let socket = UdpSocket::bind(address).await?;
    let address = socket.local_addr()?;
    let mut server = Server::new(catalog(market).map_err(io::Error::other)?);
    server.register_socket(socket);
    let task = tokio::spawn(async move {
        shutdown.cancelled().await;
        if let Err(error) = server.shutdown_gracefully().await {
            tracing::debug!("the name server: {error}");
        }
    });
    Ok(Running { address, task })
}

fn catalog(market: Ipv4Addr) -> Result<Catalog, hickory_server::proto::ProtoError> {
    let zone = Name::from_ascii(ZONE)?;
    let mut records =
        InMemoryZoneHandler::<TokioRuntimeProvider>::empty(zone.clone(), ZoneType::Primary, AxfrPolicy::Deny);
    let authority = SOA::new(zone.clone(), zone.clone(), 0, 0, 0, 0, 0);
    records.upsert_mut(Record::from_rdata(zone.clone(), 0, RData::SOA(authority)), 0);
    let name = Name::from_ascii(proto::MARKET_NAME)?;
    records.upsert_mut(Record::from_rdata(name, 0, RData::A(A(market))), 0);
    let mut catalog = Catalog::new();
    catalog.upsert(zone.into(), vec![Arc::new(records)]);
    Ok(catalog)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A question as RFC 1035, section 4.1 writes it: its id, that recursion is not asked for, one
    /// name, type A, class IN.
    fn question(id: u16, name: &str) -> Vec<u8> {
        let mut bytes = id.to_be_bytes().to_vec();
        bytes.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        for label in name.trim_end_matches('.').split('.') {
            bytes.push(u8::try_from(label.len()).unwrap());
            bytes.extend(label.as_bytes());
        }
        bytes.extend([0, 0, 1, 0, 1]);
        bytes
    }

    #[test]
    fn the_markets_name_is_known_and_no_other_and_noise_does_no_harm() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let market = Ipv4Addr::new(198, 18, 1, 2);
            let shutdown = Shutdown::new();
            let running =
                start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), market, shutdown.clone()).await.unwrap();
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            socket.connect(running.address).await.unwrap();
            let mut bytes = [0; 512];
            for (id, name, code) in
                [(1, proto::MARKET_NAME, 0), (2, "nobody.wirebench.test.", 3), (3, "example.org.", 5)]
            {
                socket.send(b"no question").await.unwrap();
                socket.send(&question(id, name)).await.unwrap();
                let answer = loop {
                    let received =
                        clock::limit(Duration::from_secs(10), socket.recv(&mut bytes)).await.unwrap();
                    let answer = &bytes[..received.unwrap()];
                    if answer[..2] == id.to_be_bytes() {
                        break answer;
                    }
                };
                // Of the header, the code of the answer; of an answer that there is, its last
                // bytes: how long it may be kept, and the address.
                assert_eq!(answer[3] & 0x0f, code, "{name}: {answer:?}");
                let address = [&[0, 0, 0, 0, 0, 4][..], &market.octets()].concat();
                assert_eq!(answer.ends_with(&address), code == 0, "{name}: {answer:?}");
            }
            shutdown.cancel();
            running.task.await.unwrap();
        });
    }
}
