//! How load lay at the servers of a contender when others joined them.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::MeanPart;
use crate::run::{Evened, ScaleOutTrial, ScaledOut};

/// How a contender's load lay when servers joined the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScaleOutPart {
    /// Who; of calls, in words.
    pub contender: String,
    /// Subscribers, each over a connection of its own; or calls, about.
    pub connections: usize,
    /// Before any joined.
    pub before: LoadPart,
    /// Half a second after; of calls, those of the half second after.
    pub after: LoadPart,
    /// Once everybody had been sent away and was back; absent of calls.
    pub evened: Option<LoadPart>,
    /// From when the balancer closed the connections until everybody's subscription waited again, in ms; absent of calls.
    pub back_ms: Option<MeanPart>,
}

/// How load lies at servers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoadPart {
    /// The share of each server, 0 to 1, those that join last: means over the scale-outs.
    pub shares: Vec<f64>,
    /// What the most loaded has, in multiples of an even share among those that are in the balancer's list: 1 is even.
    pub imbalance: MeanPart,
}

impl LoadPart {
    /// Of how much lay at each server in each scale-out, when so many were in the list.
    fn of(lies: &[&[u64]], listed: usize) -> LoadPart {
        let total = |of: &[u64]| of.iter().sum::<u64>().max(1) as f64;
        let share = |nth: usize| {
            let shares = lies.iter().map(|of| of[nth] as f64 / total(of));
            shares.sum::<f64>() / lies.len() as f64
        };
        let imbalance =
            |of: &&[u64]| of.iter().copied().max().unwrap_or(0) as f64 * listed as f64 / total(of);
        let imbalances: Vec<f64> = lies.iter().map(imbalance).collect();
        LoadPart {
            shares: (0..lies.first().map_or(0, |of| of.len())).map(share).collect(),
            imbalance: MeanPart::of(&imbalances),
        }
    }
}

impl ScaleOutPart {
    /// From so many servers to so many; `None` where the run ended before the first was over.
    pub(super) fn of(scaled: &ScaledOut, [from, to]: [usize; 2]) -> Option<ScaleOutPart> {
        let trials = &scaled.trials;
        if trials.is_empty() {
            return None;
        }
        let lies = |of: fn(&ScaleOutTrial) -> &[u64]| trials.iter().map(of).collect::<Vec<_>>();
        let evened: Vec<&Evened> = trials.iter().filter_map(|trial| trial.evened.as_ref()).collect();
        let evened_lies: Vec<&[u64]> = evened.iter().map(|evened| &evened.lies[..]).collect();
        let ms = |span: Duration| span.as_secs_f64() * 1e3;
        let took: Vec<f64> = evened.iter().map(|evened| ms(evened.took)).collect();
        Some(ScaleOutPart {
            contender: scaled.contender.clone(),
            connections: scaled.connections,
            before: LoadPart::of(&lies(|trial| &trial.before), from),
            after: LoadPart::of(&lies(|trial| &trial.after), to),
            evened: (!evened.is_empty()).then(|| LoadPart::of(&evened_lies, to)),
            back_ms: (!evened.is_empty()).then(|| MeanPart::of(&took)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imbalance_is_in_even_shares_of_the_servers_in_the_list() {
        let part = LoadPart::of(&[&[150, 150, 0], &[148, 152, 0]], 3);
        assert!((part.shares[0] - 149.0 / 300.0).abs() < 1e-12 && part.shares[2] == 0.0);
        assert!((part.imbalance.mean - (1.5 + 1.52) / 2.0).abs() < 1e-12, "{part:?}");
        let before = LoadPart::of(&[&[150, 150, 0]], 2);
        assert!((before.imbalance.mean - 1.0).abs() < 1e-12);
    }
}
