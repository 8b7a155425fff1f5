//! What a frame carries, and its number.

/// What a frame carries. Requests are below 0x80; the answer to a request is its number with that
/// bit set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
#[allow(missing_docs, reason = "each is the message of its name")]
pub enum Kind {
    QuoteRequest = 0x01,
    QuotesRequest = 0x02,
    PortfolioRequest = 0x03,
    HistoryRequest = 0x04,
    OrderRequest = 0x05,
    SubscribeRequest = 0x06,
    SessionRequest = 0x07,
    /// Ends the subscription or session of this id; no payload, answered by [`Kind::End`].
    Cancel = 0x08,
    /// UDP: prolongs the lease of the subscription or session of this id; no payload.
    Renew = 0x09,
    /// UDP: asks whether this address is known; the payload is 8 bytes, a cookie or zeros.
    Hello = 0x0a,
    Quote = 0x81,
    Quotes = 0x82,
    Portfolio = 0x83,
    History = 0x84,
    OrderReceipt = 0x85,
    Tick = 0x86,
    SessionEvent = 0x87,
    /// The subscription or session of this id is over; no payload.
    End = 0x88,
    /// UDP: the lease runs anew; no payload.
    Renewed = 0x89,
    /// UDP: repeat what you asked after a [`Kind::Hello`] with this cookie of 8 bytes.
    Challenge = 0x8a,
    /// UDP: the address is known; no payload.
    Welcome = 0x8b,
    Fault = 0xff,
}

impl Kind {
    pub(super) const ALL: [Kind; 22] = [
        Kind::QuoteRequest,
        Kind::QuotesRequest,
        Kind::PortfolioRequest,
        Kind::HistoryRequest,
        Kind::OrderRequest,
        Kind::SubscribeRequest,
        Kind::SessionRequest,
        Kind::Cancel,
        Kind::Renew,
        Kind::Hello,
        Kind::Quote,
        Kind::Quotes,
        Kind::Portfolio,
        Kind::History,
        Kind::OrderReceipt,
        Kind::Tick,
        Kind::SessionEvent,
        Kind::End,
        Kind::Renewed,
        Kind::Challenge,
        Kind::Welcome,
        Kind::Fault,
    ];

    /// Its name in text messages.
    pub fn name(self) -> &'static str {
        match self {
            Kind::QuoteRequest => "quote_request",
            Kind::QuotesRequest => "quotes_request",
            Kind::PortfolioRequest => "portfolio_request",
            Kind::HistoryRequest => "history_request",
            Kind::OrderRequest => "order_request",
            Kind::SubscribeRequest => "subscribe_request",
            Kind::SessionRequest => "session_request",
            Kind::Cancel => "cancel",
            Kind::Renew => "renew",
            Kind::Hello => "hello",
            Kind::Quote => "quote",
            Kind::Quotes => "quotes",
            Kind::Portfolio => "portfolio",
            Kind::History => "history",
            Kind::OrderReceipt => "order_receipt",
            Kind::Tick => "tick",
            Kind::SessionEvent => "session_event",
            Kind::End => "end",
            Kind::Renewed => "renewed",
            Kind::Challenge => "challenge",
            Kind::Welcome => "welcome",
            Kind::Fault => "fault",
        }
    }

    /// Whether only servers send it.
    pub fn is_a_servers(self) -> bool {
        self as u8 >= Kind::Quote as u8
    }

    /// Whether it asks for one answer, for which there may be only so much time.
    pub fn is_call(self) -> bool {
        (Kind::QuoteRequest as u8..=Kind::OrderRequest as u8).contains(&(self as u8))
    }

    pub(super) fn from_byte(byte: u8) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_kinds_are_the_names_in_json() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{}\"", kind.name()));
        }
    }

    #[test]
    fn a_kind_is_found_by_its_number() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_byte(kind as u8), Some(kind));
        }
        assert_eq!(Kind::from_byte(0), None);
    }
}
