//! What somebody may have meant by a word that nothing is called.

use terms::Figure;

/// Similarity (Jaro-Winkler, 0 to 1) from which a word is worth suggesting: `grcp` is near `grpc`,
/// `rest` is not near `sse`.
const SIMILAR_MIN: f64 = 0.75;

/// The word that was meant, if one is near: one that goes on where the given one ends, or else the
/// most similar one.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let goes_on = |known: &&str| {
        let behind = known.strip_prefix(word).is_some_and(|rest| rest.starts_with(['_', '-']));
        behind || known.strip_suffix(word).is_some_and(|rest| rest.ends_with('.'))
    };
    if let Some(longer) = known.iter().copied().find(goes_on) {
        return Some(longer);
    }
    let similarity = |candidate: &str| strsim::jaro_winkler(word, candidate);
    let best = known.iter().copied().max_by(|left, right| similarity(left).total_cmp(&similarity(right)))?;
    if similarity(best) > SIMILAR_MIN {
        return Some(best);
    }
    // Two letters of a short word that changed places are not similar by that measure.
    known.iter().copied().find(|known| strsim::osa_distance(word, known) == 1)
}

/// `did you mean 'tcp'?`, or else all that there is.
pub fn did_you_mean(word: &str, known: &[&str]) -> String {
    match nearest(word, known) {
        Some(near) => format!("did you mean '{near}'?"),
        None => format!("there is: {}", known.join(", ")),
    }
}

/// A message that ends with a list of what there is, as one that says only what is wrong; and what
/// was meant, or else the list.
pub(crate) fn told_apart(message: &str) -> Option<(String, String)> {
    figure(message).or_else(|| link(message))
}

/// The same in one line, for errors that have no place for help: a message that needs none stays as
/// it is.
pub fn with_suggestion(message: &str) -> String {
    told_apart(message).map_or_else(|| message.to_owned(), |(wrong, help)| format!("{wrong}: {help}"))
}

/// `there is no 'cpu': response, lag, wait or service with .p50, .p99; cpu_per_call; failed`.
fn figure(message: &str) -> Option<(String, String)> {
    let (word, list) = message.strip_prefix("there is no '")?.split_once("': ")?;
    let words: Vec<&str> = list.split([',', ';', ' ']).filter(|word| !word.is_empty()).collect();
    let (points, names): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| word.starts_with('.'));
    let pairs = names.iter().flat_map(|name| points.iter().map(move |point| format!("{name}{point}")));
    let paths: Vec<String> = names.iter().map(|name| (*name).to_owned()).chain(pairs).collect();
    let paths: Vec<&str> =
        paths.iter().map(String::as_str).filter(|path| Figure::parse(path).is_ok()).collect();
    let help = nearest(word, &paths)
        .map_or_else(|| format!("there is: {list}"), |near| format!("did you mean '{near}'?"));
    (!paths.is_empty()).then(|| (format!("there is no figure '{word}'"), help))
}

/// `'mars': no link and no setting of one; links: dsl, 4g; settings: rtt=80ms, loss=1%`.
fn link(message: &str) -> Option<(String, String)> {
    let (before, list) = message.split_once(": no link and no setting of one; ")?;
    let word = before.rsplit('\'').nth(1)?;
    let key = word.split('=').next()?;
    // What stands in brackets explains.
    let outside = list.split('(').map(|part| part.split_once(')').map_or(part, |(_, outside)| outside));
    let words = outside.flat_map(|part| part.split([',', ';', ':', ' ']));
    let words = words.map(|word| word.split('=').next().unwrap_or(word));
    let known: Vec<&str> = words.filter(|word| word.len() > 1).collect();
    let help = nearest(key, &known)
        .map_or_else(|| format!("there are {list}"), |near| format!("did you mean '{near}'?"));
    Some((format!("there is no link or setting '{word}'"), help))
}

#[cfg(test)]
mod tests {
    use terms::{Expression, ways};

    use super::*;

    #[test]
    fn a_word_that_goes_on_is_meant_before_one_that_is_similar() {
        let known = ["cpu_per_call", "cpu_per_s", "response.p99", "tcp"];
        assert_eq!(nearest("cpu", &known), Some("cpu_per_call"));
        assert_eq!(nearest("rest", &["sse", "rest-h1", "rest-h2"]), Some("rest-h1"));
        assert_eq!(nearest("p99", &known), Some("response.p99"));
        assert_eq!(nearest("tpc", &known), Some("tcp"));
        assert_eq!(nearest("gopher", &known), None);
        assert_eq!(did_you_mean("gopher", &["sse", "tcp"]), "there is: sse, tcp");
    }

    #[test]
    fn figures_and_links_are_suggested_from_what_their_errors_list() {
        for (wrong, meant) in [
            ("cpu", "cpu_per_call"),
            ("p99", "response.p99"),
            ("reponse.p99", "response.p99"),
            ("bytes", "bytes_per_call"),
        ] {
            let said = with_suggestion(&Expression::parse(&format!("{wrong} < 1")).unwrap_err());
            let expected = format!("there is no figure '{wrong}': did you mean '{meant}'?");
            assert_eq!(said, expected);
        }
        let unlike = with_suggestion(&Figure::parse("quux").unwrap_err());
        assert!(unlike.contains("there is: response, lag"), "{unlike}");
        for (wrong, meant) in [("ny-londn", "ny-london"), ("dls", "dsl"), ("los=1%", "loss")] {
            let said = with_suggestion(&ways::parse(wrong, None).unwrap_err().to_string());
            let expected = format!("there is no link or setting '{wrong}': did you mean '{meant}'?");
            assert_eq!(said, expected);
        }
        assert_eq!(with_suggestion("rounds must be from 1 to 1 000"), "rounds must be from 1 to 1 000");
    }
}
