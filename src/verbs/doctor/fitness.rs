//! What a machine is fit for, judged by what was found of it.

use super::{Finding, What};
use crate::columns::wrapped;

/// A kind of measuring, and what spoils it.
struct Use {
    /// What can be measured.
    of: &'static str,
    /// The findings that spoil it, where they come with advice.
    spoiled_by: &'static [What],
}

/// From what works almost everywhere to what takes a quiet machine.
const USES: [Use; 10] = [
    Use { of: "bytes, packets and outcomes", spoiled_by: &[] },
    Use { of: "CPU per call", spoiled_by: &[What::Build, What::Steal, What::Load] },
    Use {
        of: "medians of response time, within a run",
        spoiled_by: &[What::Build, What::Cores, What::Steal, What::Load],
    },
    Use {
        of: "p99 and higher percentiles",
        spoiled_by: &[What::Build, What::Cores, What::Steal, What::Load, What::Timer, What::Stalls],
    },
    Use {
        of: "comparisons between runs",
        spoiled_by: &[What::Build, What::Governor, What::Steal, What::Load, What::Stalls],
    },
    Use {
        of: "figures to quote for other machines",
        spoiled_by: &[
            What::Build,
            What::VirtualMachine,
            What::Governor,
            What::ClockSource,
            What::Steal,
            What::Load,
            What::Stalls,
        ],
    },
    Use { of: "a cable between two hosts", spoiled_by: &[What::Hosts] },
    Use { of: "links with delay, loss and a rate", spoiled_by: &[What::Links] },
    Use { of: "balancers and resolvers that are programs", spoiled_by: &[What::Programs] },
    Use { of: "thousands of connections", spoiled_by: &[What::OpenFiles] },
];

/// The findings that spoil a use, by name.
fn spoilers<'a>(findings: &'a [Finding], of: &'a Use) -> impl Iterator<Item = &'static str> + 'a {
    let spoil = |finding: &&Finding| finding.advice.is_some() && of.spoiled_by.contains(&finding.what);
    findings.iter().filter(spoil).map(|finding| finding.what.name())
}

/// The judgement: what this machine is fit for, and what it is not fit for and why.
pub(super) fn in_words(findings: &[Finding]) -> String {
    let (mut fit, mut unfit) = (String::new(), String::new());
    for of in &USES {
        let why: Vec<&str> = spoilers(findings, of).collect();
        if why.is_empty() {
            fit += &wrapped("  + ", of.of);
        } else {
            unfit += &wrapped("  - ", &format!("{} (see {})", of.of, why.join(", ")));
        }
    }
    let unfit = if unfit.is_empty() { "  nothing\n".to_owned() } else { unfit };
    format!("This machine is fit for\n{fit}and not fit for\n{unfit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(what: What, is_fine: bool) -> Finding {
        let advice = (!is_fine).then(|| "do something".to_owned());
        Finding { what, found: "found".to_owned(), advice }
    }

    fn judged(spoiled: &[What]) -> String {
        let findings = What::ALL.map(|what| finding(what, !spoiled.contains(&what)));
        in_words(&findings)
    }

    #[test]
    fn each_use_is_fit_unless_something_spoils_it() {
        assert!(judged(&[]).ends_with("and not fit for\n  nothing\n"));
        let busy = judged(&[What::Load]);
        assert!(busy.contains("- CPU per call (see load average)"), "{busy}");
        assert!(busy.contains("+ links with delay"), "{busy}");
        let late = judged(&[What::Timer, What::Links]);
        assert!(late.contains("- p99 and higher percentiles (see timer lateness)"), "{late}");
        assert!(late.contains("+ medians") && late.contains("- links with delay"), "{late}");
        assert!(judged(&What::ALL).contains("+ bytes, packets"));
        assert!(judged(&What::ALL).lines().all(|line| line.chars().count() <= 80));
    }

    /// Findings that spoil nothing are shown for their own sake: the names of kernel and processor.
    #[test]
    fn every_finding_with_advice_spoils_something() {
        for what in What::ALL {
            let spoils = USES.iter().any(|of| of.spoiled_by.contains(&what));
            let is_told = matches!(what, What::Kernel | What::Processor | What::CongestionControl);
            assert!(spoils != is_told, "{what:?}");
        }
    }
}
