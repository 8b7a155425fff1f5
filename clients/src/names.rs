//! Names: looked up for each connection, as a caller does who comes for the first time.

use std::net::{IpAddr, SocketAddr};

use hickory_resolver::Resolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;

use crate::connection::CallError;

/// Asks this name server for the addresses of a name: one question over UDP, nothing remembered.
pub(crate) async fn look_up(name_server: SocketAddr, name: &str) -> Result<Vec<IpAddr>, CallError> {
    let failed = |error: &dyn std::fmt::Display| CallError::Refused(format!("looking up {name}: {error}"));
    let mut connection = ConnectionConfig::udp();
    connection.port = name_server.port();
    let server = NameServerConfig::new(name_server.ip(), true, vec![connection]);
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.ip_strategy = LookupIpStrategy::Ipv4Only;
    let resolver = builder.build().map_err(|error| failed(&error))?;
    let found = resolver.lookup_ip(name).await.map_err(|error| failed(&error))?;
    Ok(found.iter().collect())
}
