//! The two encodings of the contract, chosen by name: JSON and protobuf.

use bytes::Bytes;
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How a message is written.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// JSON text, snake_case, integers exact.
    Json,
    /// Protobuf binary.
    Protobuf,
}

/// Bytes that are not the message they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON, or JSON of another shape.
    #[error("not the expected JSON: {0}")]
    Json(String),
    /// Not protobuf of this message.
    #[error("not the expected protobuf: {0}")]
    Protobuf(#[from] prost::DecodeError),
}

impl Encoding {
    /// The media type that HTTP uses for it.
    pub fn media_type(self) -> &'static str {
        match self {
            Encoding::Json => "application/json",
            Encoding::Protobuf => "application/x-protobuf",
        }
    }

    /// Writes a message.
    pub fn encode<M: Message + Serialize>(self, message: &M) -> Bytes {
        match self {
            // Every message of the contract has string keys and no map, so that JSON cannot fail.
            Encoding::Json => serde_json::to_vec(message).unwrap_or_default().into(),
            Encoding::Protobuf => message.encode_to_vec().into(),
        }
    }

    /// Reads a message; memory is bounded by a small multiple of `bytes`.
    ///
    /// # Errors
    /// Where the bytes are not this message.
    pub fn decode<M: Message + Default + DeserializeOwned>(self, bytes: &[u8]) -> Result<M, DecodeError> {
        match self {
            Encoding::Json => {
                serde_json::from_slice(bytes).map_err(|error| DecodeError::Json(error.to_string()))
            }
            Encoding::Protobuf => Ok(M::decode(bytes)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::{Order, OrderReceipt, OrderStatus, Quote, SessionEvent, Side, Tick, session_event};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn quotes_round_trip(
            symbol in ".{0,20}", bid_cents in -(1_i64 << 53)..(1_i64 << 53), volume in 0..(1_u64 << 53),
            bid_size: u32,
        ) {
            let quote = Quote { symbol, bid_cents, volume, bid_size, ..Quote::default() };
            for encoding in [Encoding::Json, Encoding::Protobuf] {
                prop_assert_eq!(&encoding.decode::<Quote>(&encoding.encode(&quote)).unwrap(), &quote);
            }
        }

        #[test]
        fn receipts_round_trip(order_id in 0..(1_u64 << 53), side in 0..3, key in ".{0,40}") {
            let receipt = OrderReceipt {
                order_id,
                order: Some(Order { side, ..Order::default() }),
                status: OrderStatus::Filled.into(),
                idempotency_key: key,
                ..OrderReceipt::default()
            };
            for encoding in [Encoding::Json, Encoding::Protobuf] {
                prop_assert_eq!(&encoding.decode::<OrderReceipt>(&encoding.encode(&receipt)).unwrap(), &receipt);
            }
        }

        #[test]
        fn any_bytes_give_a_message_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            for encoding in [Encoding::Json, Encoding::Protobuf] {
                let _ = encoding.decode::<Quote>(&bytes);
                let _ = encoding.decode::<crate::v1::Portfolio>(&bytes);
                let _ = encoding.decode::<crate::v1::SessionRequest>(&bytes);
            }
        }
    }

    #[test]
    fn json_is_snake_case_with_enums_by_name() {
        let order = Order { account: "A".into(), symbol: "S".into(), side: Side::Buy.into(), quantity: 3 };
        let text = String::from_utf8(Encoding::Json.encode(&order).to_vec()).unwrap();
        assert_eq!(text, r#"{"account":"A","symbol":"S","side":"buy","quantity":3}"#);
        let event = SessionEvent { event: Some(session_event::Event::Tick(Tick::default())) };
        let text = String::from_utf8(Encoding::Json.encode(&event).to_vec()).unwrap();
        assert!(text.starts_with(r#"{"event":{"tick":{"sequence":0,"#), "{text}");
    }

    #[test]
    fn json_errors_name_the_field() {
        let error = Encoding::Json.decode::<Order>(br#"{"side":"hold"}"#).unwrap_err().to_string();
        assert!(error.contains("hold") && error.contains("buy"), "{error}");
        let error = Encoding::Json.decode::<Order>(br#"{"sybmol":"S"}"#).unwrap_err().to_string();
        assert!(error.contains("sybmol"), "{error}");
    }
}
