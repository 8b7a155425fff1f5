//! Links in words: a profile's name, and what is changed of it, such as
//! `ny-london loss=1% down.rate=20Mbit/s`.

use std::time::Duration;

use super::{Jitter, JitterShape, Loss, PROFILES, Way, Ways};

/// Words that are no link, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WaysError(String);

/// What can be said of a link, for help and errors.
const SETTINGS: &str = "rtt=80ms, delay=40ms, jitter=2ms (or uniform:2ms, normal:2ms), loss=1%, bursts=1%/25%/50% (begin, end, \
                        lost in one), duplicates=1%, reordered=1%:5ms, rate=20Mbit/s, queue=256KB, mtu=1400, cut, mended; one way with \
                        up. or down. before it";

/// Reads a link: the words change `base`, or the profile that the first of them names; later words
/// win.
///
/// # Errors
/// Where a word is neither a profile's name nor a setting, with what there is.
pub fn parse(text: &str, base: Option<Ways>) -> Result<Ways, WaysError> {
    let mut words = text.split_whitespace().peekable();
    let named = words.peek().and_then(|word| PROFILES.iter().find(|profile| profile.name == *word));
    let mut link = match (named, base) {
        (Some(profile), _) => {
            words.next();
            (profile.link)()
        }
        (None, Some(base)) => base,
        (None, None) => Ways { up: Way::of(Duration::ZERO), down: Way::of(Duration::ZERO) },
    };
    if words.peek().is_none() && named.is_none() {
        return Err(WaysError(format!("a link is a name ({}) or settings: {SETTINGS}", names())));
    }
    for word in words {
        change(&mut link, word)?;
    }
    Ok(link)
}

/// Reads changes of a link at times, such as `5s loss=10%`: each is of the link as the one before
/// it left it.
///
/// # Errors
/// Where one is no time and change, with what there is.
pub fn parse_changes(changes: &[String], mut link: Ways) -> Result<Vec<(Duration, Ways)>, WaysError> {
    let mut times = Vec::with_capacity(changes.len());
    for change in changes {
        let (time, words) = change.split_once(' ').unwrap_or((change, ""));
        let wrong = |error: String| WaysError(format!("'{change}': {error}"));
        let after = duration(time)
            .map_err(|error| wrong(format!("write TIME CHANGES, such as '5s loss=10%' ({error})")))?;
        link = parse(words, Some(link)).map_err(|error| wrong(error.0))?;
        times.push((after, link));
    }
    Ok(times)
}

fn names() -> String {
    PROFILES.map(|profile| profile.name).join(", ")
}

fn change(link: &mut Ways, word: &str) -> Result<(), WaysError> {
    let (ways, setting): (Vec<&mut Way>, &str) = if let Some(setting) = word.strip_prefix("up.") {
        (vec![&mut link.up], setting)
    } else if let Some(setting) = word.strip_prefix("down.") {
        (vec![&mut link.down], setting)
    } else {
        (vec![&mut link.up, &mut link.down], word)
    };
    let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
    let bad = |why: String| WaysError(format!("'{word}': {why}"));
    for way in ways {
        match key {
            "rtt" => way.delay = duration(value).map_err(bad)? / 2,
            "delay" => way.delay = duration(value).map_err(bad)?,
            "jitter" => way.jitter = Some(jitter(value).map_err(bad)?),
            "loss" => way.loss = Loss::Independent(share(value).map_err(bad)?),
            "bursts" => way.loss = bursts(value).map_err(bad)?,
            "duplicates" => way.duplicates = share(value).map_err(bad)?,
            "reordered" => {
                let (of, by) = value.split_once(':').unwrap_or((value, "1ms"));
                way.reordered = share(of).map_err(bad)?;
                way.reordered_by = duration(by).map_err(bad)?;
            }
            "rate" => way.bits_per_s = Some(parse_rate(value).map_err(bad)?),
            "queue" => way.queue_bytes = parse_bytes(value).map_err(bad)?,
            "mtu" => way.mtu = mtu(value).map_err(bad)?,
            "cut" => way.down = true,
            "mended" => way.down = false,
            _ => {
                let message =
                    format!("no link and no setting of one; links: {}; settings: {SETTINGS}", names());
                return Err(bad(message));
            }
        }
    }
    Ok(())
}

/// A number and its unit, one of some.
fn with_unit(text: &str, units: &[(&str, f64)]) -> Result<f64, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let expected = || {
        format!("a number and one of {}", units.iter().map(|(unit, _)| *unit).collect::<Vec<_>>().join(", "))
    };
    let factor = units.iter().find(|(name, _)| *name == unit).ok_or_else(expected)?.1;
    number.parse::<f64>().map(|number| number * factor).map_err(|_| expected())
}

fn duration(text: &str) -> Result<Duration, String> {
    /// Longer is a mistake.
    const SECONDS_MAX: f64 = 60.0;
    let seconds = with_unit(text, &[("us", 1e-6), ("ms", 1e-3), ("s", 1.0)])?;
    if seconds > SECONDS_MAX {
        return Err(format!("at most {SECONDS_MAX} s"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn share(text: &str) -> Result<f64, String> {
    let share = with_unit(text, &[("%", 0.01)])?;
    if share > 1.0 { Err("at most 100%".to_owned()) } else { Ok(share) }
}

fn jitter(text: &str) -> Result<Jitter, String> {
    let (shape, size) = text.split_once(':').unwrap_or(("exponential", text));
    let shape = match shape {
        "uniform" => JitterShape::Uniform,
        "normal" => JitterShape::Normal,
        "exponential" => JitterShape::Exponential,
        other => return Err(format!("'{other}' is none of uniform, normal, exponential")),
    };
    Ok(Jitter { size: duration(size)?, shape })
}

fn bursts(text: &str) -> Result<Loss, String> {
    let shares: Vec<f64> = text.split('/').map(share).collect::<Result<_, _>>()?;
    match shares[..] {
        [begin, end, lost] => Ok(Loss::Bursts { begin, end, lost }),
        _ => Err("three shares: begin/end/lost".to_owned()),
    }
}

/// Reads a rate, such as `20Mbit/s`, in bits a second.
///
/// # Errors
/// In words, with the units there are.
pub fn parse_rate(text: &str) -> Result<f64, String> {
    let bits = with_unit(text, &[("kbit/s", 1e3), ("Mbit/s", 1e6), ("Gbit/s", 1e9)])?;
    if (1e3..=1e12).contains(&bits) { Ok(bits) } else { Err("1kbit/s to 1000Gbit/s".to_owned()) }
}

/// Reads a size, such as `256KB`, in bytes.
///
/// # Errors
/// In words, with the units there are.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let bytes = with_unit(text, &[("B", 1.0), ("KB", 1024.0), ("MB", 1024.0 * 1024.0)])?;
    // A queue without room for a packet transmits nothing.
    if (1_500.0..=1e9).contains(&bytes) { Ok(bytes as u64) } else { Err("1500B to 953MB".to_owned()) }
}

/// IPv4 asks for 576 at least; the kernel's devices for 68.
fn mtu(text: &str) -> Result<u32, String> {
    let mtu = text.parse().map_err(|_| "a number of bytes".to_owned())?;
    if (576..=9_000).contains(&mtu) { Ok(mtu) } else { Err("576 to 9000".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_change_a_profile() {
        let link = parse("ny-london loss=1% down.rate=20Mbit/s up.mtu=1400 jitter=normal:2ms", None).unwrap();
        assert_eq!((link.up.delay, link.down.delay), (Duration::from_millis(40), Duration::from_millis(40)));
        assert_eq!((link.up.loss, link.down.loss), (Loss::Independent(0.01), Loss::Independent(0.01)));
        assert_eq!((link.up.bits_per_s, link.down.bits_per_s), (None, Some(20e6)));
        assert_eq!((link.up.mtu, link.down.mtu), (1_400, 1_500));
        let later = parse("cut loss=2%", Some(link)).unwrap();
        assert!(later.up.down && later.down.down && later.up.loss == Loss::Independent(0.02));
        assert_eq!(later.up.delay, link.up.delay);
        let all = "rtt=20ms bursts=1%/20%/100% duplicates=1% reordered=1%:5ms queue=256KB";
        let Way { loss, duplicates, reordered, reordered_by, queue_bytes, delay, .. } =
            parse(all, None).unwrap().up;
        assert_eq!(loss, Loss::Bursts { begin: 0.01, end: 0.2, lost: 1.0 });
        assert_eq!((duplicates, reordered, reordered_by), (0.01, 0.01, Duration::from_millis(5)));
        assert_eq!((queue_bytes, delay), (256 << 10, Duration::from_millis(10)));
    }

    #[test]
    fn what_is_no_link_is_said_with_what_is() {
        for (text, says) in [
            ("", "a link is a name (same-zone"),
            ("mars", "'mars': no link and no setting of one"),
            ("dsl loss=1", "'loss=1': a number and one of %"),
            ("dsl loss=101%", "at most 100%"),
            ("dsl rate=20", "kbit/s, Mbit/s, Gbit/s"),
            ("dsl rate=99999999999Gbit/s", "1kbit/s to 1000Gbit/s"),
            ("dsl rate=1B", "kbit/s, Mbit/s, Gbit/s"),
            ("dsl rtt=1000000000000000000s", "at most 60 s"),
            ("dsl mtu=100", "576 to 9000"),
            ("dsl queue=10B", "1500B"),
            ("dsl jitter=pareto:2ms", "'pareto' is none of"),
            ("dsl rtt=-1ms", "'rtt=-1ms'"),
            ("dsl rtt=2h", "one of us, ms, s"),
        ] {
            let error = parse(text, None).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
