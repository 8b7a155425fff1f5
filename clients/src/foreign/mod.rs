//! Servers that wirebench did not start: their replies are counted and not decoded.

pub mod http;
pub mod tcp;
pub mod udp;
pub mod websocket;
