//! What was done beside the rounds, and what it came to: each act with its raw trials.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use terms::{Act, Hold, Restart, ScaleOut};

use crate::{CapacityPart, MemoryPart, RestartPart, ScaleOutPart};

/// An act, and what it came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum ActPart {
    /// Connections were held.
    Hold {
        /// What was asked; absent where a run holds some of itself.
        asked: Option<Hold>,
        /// Memory, contender by contender.
        memory: Vec<MemoryPart>,
    },
    /// Servers were restarted under their subscribers.
    Restart {
        /// What was asked.
        asked: Restart,
        /// How subscribers came back, contender by contender.
        restarts: Vec<RestartPart>,
    },
    /// Servers joined others.
    ScaleOut {
        /// What was asked.
        asked: ScaleOut,
        /// How load lay, contender by contender.
        scale_outs: Vec<ScaleOutPart>,
    },
    /// The highest rate was searched for.
    Capacity {
        /// What each search came to, cell by cell.
        capacities: Vec<CapacityPart>,
    },
}

impl ActPart {
    /// An act of which nothing is done yet.
    pub fn begun(act: &Act) -> ActPart {
        match act.clone() {
            Act::Hold(asked) => ActPart::Hold { asked: Some(asked), memory: Vec::new() },
            Act::HoldSome => ActPart::Hold { asked: None, memory: Vec::new() },
            Act::Restart(asked) => ActPart::Restart { asked, restarts: Vec::new() },
            Act::ScaleOut(asked) => ActPart::ScaleOut { asked, scale_outs: Vec::new() },
            Act::Capacity(_) => ActPart::Capacity { capacities: Vec::new() },
        }
    }

    /// Whether another is an act of the same kind.
    pub fn is_like(&self, other: &ActPart) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// Whether nothing came of it, because the run ended before.
    pub fn is_empty(&self) -> bool {
        match self {
            ActPart::Hold { memory, .. } => memory.is_empty(),
            ActPart::Restart { restarts, .. } => restarts.is_empty(),
            ActPart::ScaleOut { scale_outs, .. } => scale_outs.is_empty(),
            ActPart::Capacity { capacities } => capacities.is_empty(),
        }
    }
}
