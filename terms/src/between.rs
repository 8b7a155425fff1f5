//! What stands between clients and servers, in the words of scenario files; and what subscribers do
//! about it.

use std::time::Duration;

use crate::{Carriage, Manners, ways};

/// What a relay does with the connections that go through it, as a word and as what it means.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Between {
    words: String,
    /// What the relay is told.
    pub policy: RelayPolicy,
}

/// What can be said of a relay, for errors.
const SETTINGS: &str = "passes, closes=700ms, closes_idle=700ms, resets=700ms, silent=700ms or buffers=64KB";
/// Ages that make sense of a connection that is measured for minutes at most.
const AGE_MAX: Duration = Duration::from_secs(3_600);
/// A connection younger than this is not open yet.
const AGE_MIN: Duration = Duration::from_millis(1);

impl Between {
    /// As it is written.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// Whether subscribers with these manners miss events because of it.
    pub fn loses(&self, manners: Manners) -> bool {
        match self.policy {
            RelayPolicy::Passes => false,
            RelayPolicy::Closes(_) | RelayPolicy::ClosesIdle(_) | RelayPolicy::Resets(_) => !manners.resumes,
            RelayPolicy::Silent(_) => !manners.resumes || manners.notices.is_none(),
            // The last of them wait for bytes that do not come.
            RelayPolicy::Buffers(_) => true,
        }
    }
}

impl TryFrom<String> for Between {
    type Error = String;

    fn try_from(words: String) -> Result<Between, String> {
        let wrong = |why: String| format!("'{words}': {why}; what stands between {SETTINGS}");
        let age = |text: &str| match humantime::parse_duration(text) {
            Ok(age) if (AGE_MIN..=AGE_MAX).contains(&age) => Ok(age),
            Ok(_) => Err(wrong("1ms to 1h".to_owned())),
            Err(error) => Err(wrong(error.to_string())),
        };
        let policy = match words.split_once('=') {
            None if words == "passes" => RelayPolicy::Passes,
            Some(("closes", text)) => RelayPolicy::Closes(age(text)?),
            Some(("closes_idle", text)) => RelayPolicy::ClosesIdle(age(text)?),
            Some(("resets", text)) => RelayPolicy::Resets(age(text)?),
            Some(("silent", text)) => RelayPolicy::Silent(age(text)?),
            Some(("buffers", text)) => {
                let bytes = ways::parse_bytes(text).map_err(&wrong)?;
                let bytes = usize::try_from(bytes).ok().filter(|bytes| *bytes <= HELD_BYTES_MAX);
                RelayPolicy::Buffers(bytes.ok_or_else(|| wrong("16MB at most".to_owned()))?)
            }
            _ => return Err(wrong("nothing that a relay does".to_owned())),
        };
        Ok(Between { words, policy })
    }
}

impl From<Between> for String {
    fn from(between: Between) -> String {
        between.words
    }
}

/// What is not as everybody has it, behind what a contender is.
pub(crate) fn in_words(manners: Manners, carriage: Carriage) -> String {
    let as_ever = resumes_by_default(carriage);
    let resumes = match (manners.resumes, as_ever) {
        (true, false) => ", resumes",
        (false, true) => ", forgets what it heard",
        _ => "",
    };
    let notices = manners
        .notices
        .map(|span| format!(", gives up after {} of silence", humantime::format_duration(span)));
    resumes.to_owned() + &notices.unwrap_or_default()
}

/// Whether a stock client of this resumes: an event source does, with Last-Event-ID.
pub fn resumes_by_default(carriage: Carriage) -> bool {
    matches!(carriage, Carriage::Sse { .. })
}

/// Bytes that a policy may hold back of a connection.
pub const HELD_BYTES_MAX: usize = 16 << 20;

/// What a relay does with the connections that go through it. Ages are counted from when the relay
/// accepted a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelayPolicy {
    /// Everything passes, as if there were none.
    #[default]
    Passes,
    /// A connection of this age is closed towards both ends (FIN), behind what was read of it.
    Closes(Duration),
    /// A connection of which no byte came for so long, from either end, is closed so.
    ClosesIdle(Duration),
    /// A connection of this age is reset towards both ends (RST).
    Resets(Duration),
    /// Of a connection of this age nothing passes any more, in either direction, and neither end is
    /// told: what it still sends is taken and thrown away, also when the policy is another by then.
    /// It ends when the client does.
    Silent(Duration),
    /// Towards the client only so many bytes at a time are passed on, or what there is when the
    /// server ends the connection; at most [`HELD_BYTES_MAX`].
    Buffers(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_says_what_stands_between() {
        let policy = |words: &str| Between::try_from(words.to_owned()).map(|between| between.policy);
        let age = Duration::from_millis(700);
        for (words, wanted) in [
            ("passes", RelayPolicy::Passes),
            ("closes=700ms", RelayPolicy::Closes(age)),
            ("closes_idle=700ms", RelayPolicy::ClosesIdle(age)),
            ("resets=700ms", RelayPolicy::Resets(age)),
            ("silent=700ms", RelayPolicy::Silent(age)),
            ("buffers=64KB", RelayPolicy::Buffers(64 << 10)),
        ] {
            assert_eq!(policy(words), Ok(wanted));
        }
        for (words, says) in [
            ("", "nothing that a relay does"),
            ("closes", "passes, closes=700ms"),
            ("closes=0s", "1ms to 1h"),
            ("closes=700", "'closes=700'"),
            ("buffers=64", "one of B, KB, MB"),
            ("buffers=100MB", "16MB at most"),
            ("drops=1%", "nothing that a relay does"),
        ] {
            let error = policy(words).unwrap_err();
            assert!(error.contains(says), "{words}: {error}");
        }
    }

    #[test]
    fn who_resumes_and_notices_loses_nothing() {
        let between = |words: &str| Between::try_from(words.to_owned()).unwrap();
        let plain = Manners::default();
        let resumes = Manners { resumes: true, notices: None };
        let careful = Manners { notices: Some(Duration::from_millis(500)), ..resumes };
        for (words, losers) in [
            ("passes", [false, false, false]),
            ("resets=1s", [true, false, false]),
            ("silent=1s", [true, true, false]),
            ("buffers=4KB", [true, true, true]),
        ] {
            assert_eq!(
                [plain, resumes, careful].map(|manners| between(words).loses(manners)),
                losers,
                "{words}"
            );
        }
    }
}
