//! Rules of a balancer that reads HTTP: which requests go to which market.

/// Requests that match go to one market.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Route {
    /// What they are known by.
    pub matches: Matches,
    /// Which market, from 1.
    pub market: usize,
}

/// What requests are known by.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Matches {
    /// How their path begins.
    Path(String),
    /// A header of this name with this value.
    Header(String, String),
    /// A cookie of this name with this value.
    Cookie(String, String),
}

impl Route {
    /// Reads `path /v1/history market.3`, `header x-cohort=canary market.2` or `cookie
    /// cohort=canary market.2`.
    ///
    /// # Errors
    /// In words, with what there is.
    pub fn parse(words: &str) -> Result<Route, String> {
        let read = || {
            let mut parts = words.split_whitespace();
            let (by, what, market) = (parts.next()?, parts.next()?, parts.next()?);
            let pair = || {
                let (name, value) = what.split_once('=')?;
                (!name.is_empty()).then(|| (name.to_ascii_lowercase(), value.to_owned()))
            };
            let matches = match by {
                "path" if what.starts_with('/') => Matches::Path(what.to_owned()),
                "header" => pair().map(|(name, value)| Matches::Header(name, value))?,
                // The names of cookies are told apart by their case (RFC 6265, section 4.1).
                "cookie" => {
                    let (name, value) = what.split_once('=').filter(|(name, _)| !name.is_empty())?;
                    Matches::Cookie(name.to_owned(), value.to_owned())
                }
                _ => return None,
            };
            let market = market.strip_prefix("market.")?.parse().ok()?;
            (market > 0 && parts.next().is_none()).then_some(Route { matches, market })
        };
        read().ok_or_else(|| {
            format!(
                "'{words}' is no route: write what requests are known by and the market, such as \"path /v1/history market.3\", \"header x-cohort=canary market.2\" or \"cookie cohort=canary market.2\""
            )
        })
    }

    /// Whether a request of this path goes this way; `headers` has the values of its headers of a
    /// name.
    pub fn is_of<'a, H: Iterator<Item = &'a str>>(&self, path: &str, headers: impl Fn(&str) -> H) -> bool {
        match &self.matches {
            Matches::Path(begins) => path.starts_with(begins),
            Matches::Header(name, wanted) => headers(name).any(|value| value == wanted),
            Matches::Cookie(name, wanted) => {
                headers("cookie").flat_map(|value| value.split(';')).any(|pair| {
                    pair.trim().split_once('=').is_some_and(|(found, value)| found == name && value == wanted)
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_a_match_and_a_market() {
        for (words, path, headers, is_of) in [
            ("path /v1/history market.3", "/v1/history/AAAA", vec![], true),
            ("path /v1/history market.3", "/v1/quotes/AAAA", vec![], false),
            ("header X-Cohort=canary market.3", "/", vec![("x-cohort", "canary")], true),
            ("header x-cohort=canary market.3", "/", vec![("x-cohort", "canary2")], false),
            ("cookie cohort=canary market.3", "/", vec![("cookie", "a=b; cohort=canary")], true),
            ("cookie cohort=canary market.3", "/", vec![("cookie", "xcohort=canary; cohort=")], false),
            (
                "cookie cohort=canary market.3",
                "/",
                vec![("cookie", "a=1"), ("cookie", "cohort=canary")],
                true,
            ),
        ] {
            let route = Route::parse(words).unwrap();
            let headers = |name: &str| {
                let of: Vec<&str> =
                    headers.iter().filter(|(of, _)| *of == name).map(|(_, value)| *value).collect();
                of.into_iter()
            };
            assert_eq!((route.is_of(path, headers), route.market), (is_of, 3), "{words}");
        }
        for wrong in [
            "",
            "path",
            "path / market.0",
            "path v1 market.1",
            "header =x market.1",
            "cookie a market.1",
            "path / market.1 more",
            "query a=b market.1",
        ] {
            assert!(Route::parse(wrong).unwrap_err().contains("is no route"), "{wrong}");
        }
    }
}
