//! Which contender is cheapest where, along an axis.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use terms::{Coordinate, Map};

/// Who is cheapest where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MapPart {
    /// What was asked.
    #[serde(flatten)]
    pub map: Map,
    /// A row a point of the axis.
    pub rows: Vec<MapRow>,
}

/// One point of the axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MapRow {
    /// Where it is.
    pub at: Coordinate,
    /// A cell a tolerance.
    pub cells: Vec<MapCell>,
}

/// The cheapest contender of those that bring nothing later than a tolerance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MapCell {
    /// Who; absent where none is so quick.
    pub cheapest: Option<String>,
    /// Its figure, mean of the rounds.
    pub figure: Option<f64>,
    /// Those that are as cheap as it, as far as the rounds tell: whose 95 % interval of the ratio
    /// to it reaches down to 1.
    pub as_cheap: Vec<String>,
}

impl MapCell {
    /// Who is cheapest, and who is as cheap: `sse (as cheap: websocket)`.
    pub fn in_words(&self) -> String {
        match (&self.cheapest, self.as_cheap.is_empty()) {
            (None, _) => "nobody".to_owned(),
            (Some(name), true) => name.clone(),
            (Some(name), false) => format!("{name} (as cheap: {})", self.as_cheap.join(", ")),
        }
    }
}
