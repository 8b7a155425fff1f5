//! Streams that are read in turns and to a bound, at either end: whoever sends as fast as it can
//! does not keep one connection reading while others wait, and no library keeps without end what it
//! was sent.

pub mod http3;
mod turn;

pub use turn::{Turn, give_way};
