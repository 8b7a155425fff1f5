//! How load lay at the servers of a contender when others joined them.

use record::{Evened, LoadKind, LoadPart, ScaleOutPart, ScaleOutTrial};

use super::mean_part;

/// How load lies, of how much lay at each server in each scale-out, when so many were in the
/// balancer's list.
fn load_part(loads: &[&[u64]], listed: usize) -> LoadPart {
    let total = |of: &[u64]| of.iter().sum::<u64>().max(1) as f64;
    let share = |nth: usize| {
        let shares = loads.iter().map(|of| of[nth] as f64 / total(of));
        shares.sum::<f64>() / loads.len() as f64
    };
    let imbalance = |of: &&[u64]| of.iter().copied().max().unwrap_or(0) as f64 * listed as f64 / total(of);
    let imbalances: Vec<f64> = loads.iter().map(imbalance).collect();
    LoadPart {
        shares: (0..loads.first().map_or(0, |of| of.len())).map(share).collect(),
        imbalance: mean_part(&imbalances),
    }
}

/// What the scale-outs from so many servers to so many came to; `None` where there was none.
pub fn scale_out_part(
    contender: &str,
    load: LoadKind,
    connections: usize,
    [from, to]: [usize; 2],
    trials: &[ScaleOutTrial],
) -> Option<ScaleOutPart> {
    if trials.is_empty() {
        return None;
    }
    let loads = |of: fn(&ScaleOutTrial) -> &[u64]| trials.iter().map(of).collect::<Vec<_>>();
    let evened: Vec<&Evened> = trials.iter().filter_map(|trial| trial.evened.as_ref()).collect();
    let evened_loads: Vec<&[u64]> = evened.iter().map(|evened| &evened.load[..]).collect();
    let took: Vec<f64> = evened.iter().map(|evened| evened.took_ms).collect();
    Some(ScaleOutPart {
        contender: contender.to_owned(),
        connections,
        before: load_part(&loads(|trial| &trial.before), from),
        after: load_part(&loads(|trial| &trial.after), to),
        evened: (!evened.is_empty()).then(|| load_part(&evened_loads, to)),
        back_ms: (!evened.is_empty()).then(|| mean_part(&took)),
        load: Some(load),
        trials: trials.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imbalance_is_in_even_shares_of_the_servers_in_the_list() {
        let part = load_part(&[&[150, 150, 0], &[148, 152, 0]], 3);
        assert!((part.shares[0] - 149.0 / 300.0).abs() < 1e-12 && part.shares[2] == 0.0);
        assert!((part.imbalance.mean - (1.5 + 1.52) / 2.0).abs() < 1e-12, "{part:?}");
        let before = load_part(&[&[150, 150, 0]], 2);
        assert!((before.imbalance.mean - 1.0).abs() < 1e-12);
    }
}
