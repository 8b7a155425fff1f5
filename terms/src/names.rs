//! How the market's name is looked up: how long an answer may be kept, and who keeps it.

use std::time::Duration;

use crate::{ForeignServer, text};

/// The name of a market with replicas: its address is that of each of them.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct NameSettings {
    /// How long an answer may be kept (RFC 1035's TTL), in whole seconds.
    pub ttl: Duration,
    /// Resolver caches; each connection asks the next of them.
    pub caches: usize,
    /// How seldom the last of the caches asks again, whatever a TTL says, from a moment by chance
    /// on; `None` where it is as obedient as the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeps: Option<Duration>,
    /// Whether a client tries the name's next address where it cannot connect to one.
    #[serde(default)]
    pub tries_next: bool,
    /// A program that is the resolver cache in place of wirebench's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolver: Option<ForeignServer>,
}

impl NameSettings {
    /// It in words: `its name looked up (TTL 1s, 8 resolver caches)`.
    pub fn in_words(&self) -> String {
        let caches = match (&self.resolver, self.caches) {
            (Some(resolver), _) => resolver.program().unwrap_or("a resolver").to_owned(),
            (None, 1) => "a resolver cache".to_owned(),
            (None, count) => format!("{} resolver caches", text::count(count as u64)),
        };
        let keeps = self.keeps.map_or_else(String::new, |keeps| {
            format!(", the last of which keeps an answer for {}", humantime::format_duration(keeps))
        });
        let next = if self.tries_next { ", the next address tried" } else { "" };
        format!("its name looked up (TTL {}, {caches}{keeps}){next}", humantime::format_duration(self.ttl))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_say_what_they_are() {
        let plain = NameSettings {
            ttl: Duration::from_secs(1),
            caches: 8,
            keeps: None,
            tries_next: false,
            resolver: None,
        };
        assert_eq!(plain.in_words(), "its name looked up (TTL 1s, 8 resolver caches)");
        let keeps = NameSettings { keeps: Some(Duration::from_secs(30)), tries_next: true, ..plain.clone() };
        let words = "its name looked up (TTL 1s, 8 resolver caches, the last of which keeps an answer for 30s), the next address tried";
        assert_eq!(keeps.in_words(), words);
        let command = "unbound -c {folder}/config".to_owned();
        let resolver = Some(ForeignServer::Program { command, config: None });
        assert_eq!(NameSettings { resolver, ..plain }.in_words(), "its name looked up (TTL 1s, unbound)");
    }
}
