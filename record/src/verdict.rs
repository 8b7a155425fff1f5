//! A claim with its verdict.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use terms::Claim;

use crate::{Ratio, Record};

/// A claim with its verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// What was judged.
    #[serde(flatten)]
    pub claim: Claim,
    /// The ratio with its interval, to the other's figure or to the value; absent where there were
    /// no two rounds to pair.
    pub ratio: Option<Ratio>,
    /// The verdict.
    pub verdict: VerdictWord,
    /// Why, in a sentence with the numbers.
    pub because: String,
}

/// What a verdict can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VerdictWord {
    /// The whole interval is on the claim's side of the threshold, or within its margin.
    Holds,
    /// The whole interval is on the other side, or outside the margin.
    DoesNotHold,
    /// The interval straddles the threshold, or there was too little to judge.
    Undecided,
}

impl VerdictWord {
    /// As people write it.
    pub fn in_words(self) -> &'static str {
        match self {
            VerdictWord::Holds => "holds",
            VerdictWord::DoesNotHold => "does not hold",
            VerdictWord::Undecided => "undecided",
        }
    }
}

impl Record {
    /// Whom of a claim the run left out, as quick ones do.
    pub fn left_out<'a>(&self, claim: &'a Claim) -> Option<&'a str> {
        claim.contenders().find(|name| self.cell(name, &claim.condition).is_none())
    }
}
