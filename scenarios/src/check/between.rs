//! What stands between clients and servers, and what subscribers do about it: where each has a
//! meaning.

use proto::{Capability, Protocol, Transport};
use terms::{Activity, Between, Carriage, Contender, Manners, Workload};
use toml::Spanned;

use super::Check;
use crate::ScenarioError;
use crate::contender::WireContender;
use crate::wire::{WireCondition, WireScenario};
use terms::resumes_by_default;

impl Check<'_> {
    /// What a condition says of a relay.
    pub(super) fn between(
        &self,
        condition: &WireCondition,
        workload: &Workload,
    ) -> Result<Option<Between>, ScenarioError> {
        let Some(words) = &condition.between else { return Ok(None) };
        let pushed = workload.activity == Activity::Market(Capability::Subscribe);
        self.require(words, pushed, "between is a key of operation = \"subscribe\" only")?;
        let at = |message: String| ScenarioError::at(self.file, self.text, words.span(), &message, None);
        Between::try_from(words.get_ref().clone()).map(Some).map_err(at)
    }

    /// A relay of TCP connections has nothing of what goes by other ways, and stands before the
    /// market's own servers.
    pub(super) fn between_fits(
        &self,
        wire: &WireScenario,
        contenders: &[Contender],
    ) -> Result<(), ScenarioError> {
        let why_not = |contender: &Contender| {
            let (access, name) = (contender.access()?, &contender.name);
            if access.server.is_some() {
                return Some(format!(
                    "the relay stands in front of wirebench's servers only, and '{name}' has another server"
                ));
            }
            let by_other_ways =
                access.carriage.protocol() == Protocol::Udp || access.transport() == Transport::Quic;
            by_other_ways.then(|| format!("the relay carries TCP only, and '{name}' does not use TCP"))
        };
        let Some(message) = contenders.iter().find_map(why_not) else { return Ok(()) };
        let mut said = wire.condition.get_ref().iter().filter_map(|condition| condition.between.as_ref());
        said.try_for_each(|words| self.require(words, false, &message))
    }

    /// What the subscribers of a contender do about a connection that is lost, or silent.
    pub(super) fn manners(
        &self,
        wire: &WireContender,
        carriage: Carriage,
        workload: &Workload,
    ) -> Result<Manners, ScenarioError> {
        let WireContender { resumes, notices, .. } = wire;
        let subscribes = workload.activity == Activity::Market(Capability::Subscribe);
        let only = "this is a key of operation = \"subscribe\" only";
        self.option(carriage.protocol(), "resumes", resumes.as_ref(), &[Protocol::Sse, Protocol::WebSocket])?;
        if let Some(resumes) = resumes {
            self.require(resumes, subscribes, only)?;
        }
        if let Some(notices) = notices {
            self.require(notices, subscribes, only)?;
            self.require(notices, !notices.get_ref().0.is_zero(), "notices must be greater than 0")?;
        }
        let given = |resumes: &Spanned<bool>| *resumes.get_ref();
        Ok(Manners {
            resumes: resumes.as_ref().map_or(resumes_by_default(carriage), given),
            notices: notices.as_ref().map(|notices| notices.get_ref().0),
        })
    }
}
