//! How a call over HTTP says how much time it has left. A frame has a field for it.
//!
//! Relative times need no clocks that agree. What they take on the way is not counted: the server's
//! deadline is later than the caller's by the time that the request travelled.

use std::time::Duration;

/// The header of gRPC (PROTOCOL-HTTP2.md of the gRPC project): up to 8 digits and a unit.
pub const GRPC_HEADER: &str = "grpc-timeout";
/// The header of every other call over HTTP: whole microseconds. No standard has one; Envoy's
/// `x-envoy-expected-rq-timeout-ms` says the same in milliseconds.
pub const HTTP_HEADER: &str = "time-left-us";

/// Digits that gRPC allows.
const GRPC_DIGITS_MAX: usize = 8;
/// Digits of microseconds that are read: three years of them.
const HTTP_DIGITS_MAX: usize = 14;
/// gRPC's units, and how many nanoseconds each is, the shortest first.
const GRPC_UNITS: [(u8, u64); 6] = [
    (b'n', 1),
    (b'u', 1_000),
    (b'm', 1_000_000),
    (b'S', 1_000_000_000),
    (b'M', 60_000_000_000),
    (b'H', 3_600_000_000_000),
];

/// Time left as gRPC writes it, in whole microseconds where these fit: `250000u`.
pub fn to_grpc(time_left: Duration) -> String {
    let nanos = time_left.as_nanos();
    let units = GRPC_UNITS.iter().skip(1).map(|(unit, of)| (*unit, nanos / u128::from(*of)));
    let fits = |(_, count): &(u8, u128)| *count < 10_u128.pow(GRPC_DIGITS_MAX as u32);
    let (unit, count) = units.into_iter().find(fits).unwrap_or((b'H', 99_999_999));
    format!("{count}{}", char::from(unit))
}

/// Reads what gRPC writes; `None` where it is not.
pub fn from_grpc(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    let (_, nanos) = GRPC_UNITS.iter().find(|(known, _)| known == unit)?;
    let count = number(digits, GRPC_DIGITS_MAX)?;
    let nanos = u128::from(count) * u128::from(*nanos);
    Some(Duration::new((nanos / 1_000_000_000) as u64, (nanos % 1_000_000_000) as u32))
}

/// Time left as the other calls write it, in microseconds.
pub fn to_http(time_left: Duration) -> String {
    time_left.as_micros().min(10_u128.pow(HTTP_DIGITS_MAX as u32) - 1).to_string()
}

/// Reads what they write; `None` where it is not.
pub fn from_http(value: &[u8]) -> Option<Duration> {
    number(value, HTTP_DIGITS_MAX).map(Duration::from_micros)
}

/// A whole number of 1 to so many digits.
fn number(digits: &[u8], digits_max: usize) -> Option<u64> {
    let right = (1..=digits_max).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| right)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_is_read_as_it_was_written() {
        for (written, read) in [
            ("250000u", Duration::from_millis(250)),
            ("0u", Duration::ZERO),
            ("99999999u", Duration::from_micros(99_999_999)),
        ] {
            assert_eq!((to_grpc(read), from_grpc(written.as_bytes())), (written.to_owned(), Some(read)));
        }
        assert_eq!(to_grpc(Duration::from_secs(100)), "100000m");
        assert_eq!(to_grpc(Duration::MAX), "99999999H");
        assert_eq!(from_grpc(b"99999999H").unwrap().as_secs(), 99_999_999 * 3_600);
        assert_eq!(from_grpc(b"7n"), Some(Duration::from_nanos(7)));
        let read = Duration::from_micros(123);
        assert_eq!((to_http(read), from_http(b"123")), ("123".to_owned(), Some(read)));
        assert!(from_http(to_http(Duration::MAX).as_bytes()).is_some());
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for wrong in ["", "u", "5", "5s", "-5m", "+5m", "5.0S", "123456789u", " 5m", "5m ", "5 m"] {
            assert_eq!(from_grpc(wrong.as_bytes()), None, "{wrong}");
        }
        for wrong in ["", "5u", "-5", "+5", "5.0", " 5", "123456789012345"] {
            assert_eq!(from_http(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
