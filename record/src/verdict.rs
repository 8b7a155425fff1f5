//! A claim with its verdict.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use terms::{Claim, So};

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
    /// What was found, in a sentence with the numbers; empty in older records.
    #[serde(default)]
    pub finding: String,
    /// Why that is the verdict.
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
    /// It is decided, and the claim that was named for it before the run is decided the other way.
    Depends,
}

impl VerdictWord {
    /// As people write it.
    pub fn in_words(self) -> &'static str {
        match self {
            VerdictWord::Holds => "holds",
            VerdictWord::DoesNotHold => "does not hold",
            VerdictWord::Undecided => "undecided",
            VerdictWord::Depends => "depends",
        }
    }

    /// What a reader should do where this is the verdict.
    pub fn advice(self, so: &So) -> Option<&str> {
        let words = match self {
            VerdictWord::Holds => &so.holds,
            VerdictWord::DoesNotHold => &so.does_not_hold,
            VerdictWord::Undecided => &so.undecided,
            VerdictWord::Depends => &so.depends,
        };
        words.as_deref()
    }
}

impl Verdict {
    /// What a reader should do about it, as the scenario says.
    pub fn so(&self) -> Option<&str> {
        self.verdict.advice(&self.claim.so)
    }
}

impl Record {
    /// Which contender and condition of a claim the run left out, as quick ones do.
    pub fn left_out<'a>(&self, claim: &'a Claim) -> Option<(&'a str, &'a str)> {
        claim.cells().find(|(contender, condition)| self.cell(contender, condition).is_none())
    }

    /// The verdict that a claim names with `turns`.
    pub fn turn(&self, claim: &Claim) -> Option<&Verdict> {
        let id = claim.turns.as_ref()?;
        self.verdicts.iter().find(|verdict| verdict.claim.id.as_ref() == Some(id))
    }
}
