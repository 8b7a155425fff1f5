//! Links that have names.

use std::time::Duration;

use super::{Jitter, JitterShape, Loss, Way, Ways};

/// A link with a name.
#[derive(Debug, Clone, Copy)]
pub struct NamedWays {
    /// Its name.
    pub name: &'static str,
    /// What it stands for, in a few words.
    pub is: &'static str,
    /// What it does to packets.
    pub link: fn() -> Ways,
}

/// Every link that has a name. Those with a distance alone are even both ways; access networks are
/// stated from the user's side.
pub const PROFILES: [NamedWays; 9] = [
    NamedWays { name: "same-zone", is: "two hosts of one data centre, 0.25 ms", link: || even(0.25) },
    NamedWays { name: "cross-zone", is: "two data centres of one region, 1 ms", link: || even(1.0) },
    NamedWays { name: "coast-to-coast", is: "New York and San Francisco, 60 ms", link: || even(60.0) },
    NamedWays { name: "ny-london", is: "New York and London as the card has it, 80 ms", link: || even(80.0) },
    NamedWays {
        name: "ny-london-ideal",
        is: "the same along the great circle in fibre, 54.6 ms",
        link: || even(fibre_round_trip_ms(great_circle_km(NEW_YORK, LONDON), INDEX)),
    },
    NamedWays { name: "ny-singapore", is: "New York and Singapore, 230 ms", link: || even(230.0) },
    NamedWays {
        name: "4g",
        is: "a phone: 50 ms and jitter, 20 Mbit/s down, 8 up, deep queues",
        link: mobile,
    },
    NamedWays {
        name: "lossy-wifi",
        is: "a bad corner: 6 ms, bursts of loss (2 % in all), 40 Mbit/s",
        link: wifi,
    },
    NamedWays { name: "dsl", is: "a telephone line: 30 ms, 16 Mbit/s down, 1 up", link: dsl },
];

/// The refractive index of single-mode fibre at 1 550 nm (Corning SMF-28).
const INDEX: f64 = 1.468;
/// Latitude and longitude, in degrees.
const NEW_YORK: (f64, f64) = (40.7128, -74.0060);
const LONDON: (f64, f64) = (51.5074, -0.1278);

/// The time that light takes there and back through fibre of a refractive index.
fn fibre_round_trip_ms(km: f64, index: f64) -> f64 {
    /// Of light in a vacuum, by definition.
    const KM_PER_S: f64 = 299_792.458;
    2e3 * km * index / KM_PER_S
}

/// The great circle between two points, by the haversine formula, on a sphere of the Earth's mean
/// radius.
fn great_circle_km((latitude, longitude): (f64, f64), (to_latitude, to_longitude): (f64, f64)) -> f64 {
    /// IUGG's mean radius.
    const RADIUS_KM: f64 = 6_371.008_8;
    let half = |from: f64, to: f64| ((to - from).to_radians() / 2.0).sin().powi(2);
    let across = latitude.to_radians().cos() * to_latitude.to_radians().cos() * half(longitude, to_longitude);
    2.0 * RADIUS_KM * (half(latitude, to_latitude) + across).sqrt().asin()
}

fn even(round_trip_ms: f64) -> Ways {
    let way = Way::of(Duration::from_secs_f64(round_trip_ms / 2e3));
    Ways { up: way, down: way }
}

fn access(round_trip_ms: f64, up_bits_per_s: f64, down_bits_per_s: f64) -> Ways {
    let Ways { up, down } = even(round_trip_ms);
    let rated = |way, bits_per_s| Way { bits_per_s: Some(bits_per_s), ..way };
    Ways { up: rated(up, up_bits_per_s), down: rated(down, down_bits_per_s) }
}

fn mobile() -> Ways {
    let link = access(50.0, 8e6, 20e6);
    let jitter = Some(Jitter { size: Duration::from_millis(4), shape: JitterShape::Exponential });
    Ways { up: Way { jitter, ..link.up }, down: Way { jitter, ..link.down } }
}

/// A spell of four packets on average, in which half are lost, at one packet in a hundred.
fn wifi() -> Ways {
    let link = access(6.0, 40e6, 40e6);
    let jitter = Some(Jitter { size: Duration::from_millis(1), shape: JitterShape::Exponential });
    let loss = Loss::Bursts { begin: 0.01, end: 0.25, lost: 0.5 };
    Ways { up: Way { jitter, loss, ..link.up }, down: Way { jitter, loss, ..link.down } }
}

fn dsl() -> Ways {
    let link = access(30.0, 1e6, 16e6);
    Ways { up: Way { queue_bytes: 64 << 10, ..link.up }, down: Way { queue_bytes: 256 << 10, ..link.down } }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The card: 5 570 km, 54.6 ms at n = 1.468, 55.7 ms at n = 1.5.
    #[test]
    fn new_york_and_london_are_as_far_apart_as_the_card_says() {
        let km = great_circle_km(NEW_YORK, LONDON);
        assert!((km - 5_570.0).abs() < 1.0, "{km}");
        assert!((fibre_round_trip_ms(km, INDEX) - 54.6).abs() < 0.06, "{km}");
        assert!((fibre_round_trip_ms(km, 1.5) - 55.7).abs() < 0.06, "{km}");
    }

    #[test]
    fn names_are_there_once_and_tell_the_distance() {
        for profile in &PROFILES {
            assert_eq!(PROFILES.iter().filter(|other| other.name == profile.name).count(), 1);
            let Ways { up, down } = (profile.link)();
            let ms = (up.delay + down.delay).as_secs_f64() * 1e3;
            let words: Vec<&str> = profile.is.split(' ').collect();
            let said = words.windows(2).find(|pair| pair[1].starts_with("ms")).or(words.windows(2).last());
            let said: f64 = said.unwrap()[0].parse().unwrap();
            assert!((said - ms).abs() < 0.06, "{}: {ms} ms", profile.name);
        }
    }
}
