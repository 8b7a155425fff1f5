//! The name of the market's replicas, and who looks it up.

use std::time::Duration;

use proto::Transport;
use terms::{Carriage, Contender, Link, NameSettings, Workload};

use super::Check;
use crate::ScenarioError;
use crate::contender::WireContender;
use crate::wire::WireScenario;

/// How long an answer may be kept where a scenario does not say it.
const TTL_USUALLY: Duration = Duration::from_secs(1);
/// The longest time that an answer is kept: a week (RFC 8767, section 4).
const TTL_MAX: Duration = Duration::from_hours(24 * 7);
/// How many caches there are where a scenario does not say it.
const CACHES_USUALLY: usize = 8;
const CACHES_MAX: usize = 64;

impl Check<'_> {
    /// How a contender looks the name of replicas up, where it finds them by that.
    pub(super) fn names(
        &self,
        wire: &WireContender,
        carriage: Carriage,
        workload: &Workload,
    ) -> Result<Option<NameSettings>, ScenarioError> {
        let WireContender { ttl, caches, keeps, tries_next, resolver, .. } = wire;
        let named = wire.dns && workload.replicas > 1;
        let needs = "this needs dns = true, and replicas in the workload";
        self.needs(ttl.as_ref(), named, needs)?;
        self.needs(caches.as_ref(), named, needs)?;
        self.needs(keeps.as_ref(), named, needs)?;
        self.needs(tries_next.as_ref(), named, needs)?;
        self.needs(resolver.as_ref(), named, needs)?;
        if !named {
            return Ok(None);
        }
        let plain = wire.tls.is_none() && carriage.transport(false) == Some(Transport::Plain);
        let at = &wire.name;
        self.require(at, plain, "each replica has a certificate of its own: dns needs plain text here")?;
        let others = [wire.balance.is_some(), wire.through.is_some(), wire.balancer.is_some()];
        let alone = others.iter().all(|is_given| !is_given);
        self.require(at, alone, "a contender must have only one of dns, balance, through and balancer")?;
        self.needs(caches.as_ref(), resolver.is_none(), "a resolver is the only cache")?;
        self.needs(keeps.as_ref(), resolver.is_none(), "a resolver keeps what its config says")?;
        let tries = tries_next.as_ref().is_some_and(|tries| *tries.get_ref());
        if let Some(given) = tries_next {
            let right = !tries || carriage != Carriage::Udp;
            self.require(given, right, "udp has no connections that fail: it cannot try the next address")?;
        }
        for time in [ttl, keeps].into_iter().flatten() {
            let of = time.get_ref().0;
            let right = of.subsec_nanos() == 0 && (TTL_USUALLY..=TTL_MAX).contains(&of);
            self.require(time, right, "a TTL is in whole seconds, from 1s to 7days")?;
        }
        if let Some(caches) = caches {
            let right = (1..=CACHES_MAX).contains(caches.get_ref());
            self.require(caches, right, &format!("caches must be from 1 to {CACHES_MAX}"))?;
        }
        Ok(Some(NameSettings {
            ttl: ttl.as_ref().map_or(TTL_USUALLY, |ttl| ttl.get_ref().0),
            caches: caches.as_ref().map_or(CACHES_USUALLY, |caches| *caches.get_ref()),
            keeps: keeps.as_ref().map(|keeps| keeps.get_ref().0),
            tries_next: tries,
            resolver: resolver.as_ref().map(|resolver| self.program(resolver)).transpose()?,
        }))
    }

    /// Each market of a name has an address of its own, which hosts around a router have not.
    pub(super) fn names_fit(
        &self,
        wire: &WireScenario,
        contenders: &[Contender],
    ) -> Result<(), ScenarioError> {
        let named = contenders.iter().find(|of| of.access().is_some_and(|access| access.names.is_some()));
        let Some(Contender { name, .. }) = named else { return Ok(()) };
        let message =
            format!("the name of replicas needs a link without delay, loss or rate: '{name}' has dns");
        self.require(&wire.name, !matches!(wire.link, Link::Wan(_)), &message)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::Scenario;
    use crate::check::tests::error_of;

    const NAMED: &str = r#"
name = "named"
question = "Who gets the calls?"
workload = { operation = "quote", rate_per_s = 500, time_out = "400ms", replicas = 3 }
condition = [{ name = "one", connections = 3, cold = true, changes = ["100ms market.2 leaves 100ms"] }]
contender = [{ name = "dns", protocol = "tcp", dns = true, ttl = "2s", keeps = "30s" }]
"#;

    #[test]
    fn a_name_is_read_with_what_is_usual() {
        let scenario = Scenario::parse("named.toml", NAMED, &[]).unwrap();
        let access = scenario.contenders[0].access().unwrap();
        let names = access.names.as_ref().unwrap();
        assert_eq!((names.ttl, names.caches), (Duration::from_secs(2), 8));
        assert_eq!((names.keeps, names.tries_next), (Some(Duration::from_secs(30)), false));
        // One server has a name of its own, as ever.
        let one = NAMED.replacen("replicas = 3", "replicas = 1", 1).replacen(
            ", ttl = \"2s\", keeps = \"30s\"",
            "",
            1,
        );
        let one = one.replacen(", changes = [\"100ms market.2 leaves 100ms\"]", "", 1);
        let one = Scenario::parse("named.toml", &one, &[]).unwrap();
        assert!(one.contenders[0].access().is_some_and(|access| access.dns && access.names.is_none()));
    }

    #[test]
    fn names_are_refused_where_they_have_no_meaning() {
        for (right, wrong, said) in [
            ("dns = true, ", "", "this needs dns = true"),
            ("ttl = \"2s\"", "ttl = \"1500ms\"", "whole seconds"),
            ("keeps = \"30s\"", "keeps = \"0s\"", "whole seconds"),
            ("ttl = \"2s\"", "caches = 65", "caches must be from 1 to 64"),
            ("ttl = \"2s\"", "tls = \"1.3\"", "plain text"),
            ("ttl = \"2s\"", "through = \"l4\"", "only one of dns, balance, through and balancer"),
            ("keeps = \"30s\"", "resolver = { command = \"unbound\" }, caches = 2", "the only cache"),
            ("keeps = \"30s\"", "resolver = { command = \" \" }", "must name a program"),
            ("protocol = \"tcp\"", "protocol = \"udp\", tries_next = true", "no connections that fail"),
            ("workload =", "link = \"rtt=5ms\"\nworkload =", "without delay, loss or rate"),
        ] {
            let (message, _) = error_of(&NAMED.replacen(right, wrong, 1));
            assert!(message.contains(said), "{wrong}: {message}");
        }
    }
}
