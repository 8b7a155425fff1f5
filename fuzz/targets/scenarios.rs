//! Scenario files, the plans that are made of them, and the estimates.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scenarios::{Plan, PlanOptions, Scenario};
use terms::Extent;

fuzz_target!(|text: &str| {
    let Ok(scenario) = Scenario::parse("fuzz.toml", text, &[]) else { return };
    for extent in [Extent::Quick, Extent::Standard, Extent::Full] {
        if let Ok(plan) = Plan::make(&scenario, &PlanOptions::of(extent)) {
            let _ = (plan.time(), plan.measurements(), plan.sha256(&scenario));
        }
    }
});
