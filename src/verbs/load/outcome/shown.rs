//! What was typed, as a file may show it: files are passed on, and secrets are not.

use super::LoadReport;
use crate::ending::shell_line;

/// In place of a secret.
const HIDDEN: &str = "…";
/// Parts of the names of headers whose values are secrets.
const SECRET: [&str; 6] = ["auth", "cookie", "key", "password", "secret", "token"];

impl LoadReport {
    /// The target without a password.
    pub(super) fn shown_target(&self) -> String {
        without_password(&self.target)
    }
}

/// A URL without its password.
pub(in crate::verbs::load) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(host_end);
    let hidden = authority.rsplit_once('@').and_then(|(user, host)| {
        let (name, _) = user.split_once(':')?;
        Some(format!("{name}:{HIDDEN}@{host}"))
    });
    format!("{scheme}://{}{path}", hidden.as_deref().unwrap_or(authority))
}

/// A command line as it can be typed again, without passwords and the values of secret headers.
pub(super) fn shown_command(arguments: impl IntoIterator<Item = String>) -> String {
    let mut is_header = false;
    let shown = arguments.into_iter().map(|argument| {
        let is_value = std::mem::replace(&mut is_header, argument == "--header");
        match argument.strip_prefix("--header=") {
            Some(header) => format!("--header={}", without_secret(header)),
            None if is_value => without_secret(&argument),
            None => without_password(&argument),
        }
    });
    shell_line(shown)
}

/// A header without its value, where that is a secret by its name.
fn without_secret(header: &str) -> String {
    let Some((name, _)) = header.split_once(':') else { return header.to_owned() };
    let lower = name.to_ascii_lowercase();
    if SECRET.iter().any(|secret| lower.contains(secret)) {
        format!("{name}: {HIDDEN}")
    } else {
        header.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_the_rest_stays() {
        for (typed, shown) in [
            ("http://me:pass@a:1/x@y:z", "http://me:…@a:1/x@y:z"),
            ("http://me@a:1/", "http://me@a:1/"),
            ("tcp://a:1", "tcp://a:1"),
        ] {
            assert_eq!(without_password(typed), shown);
        }
        let typed = ["load", "--header", "Authorization: Bearer x", "--header=Accept: a", "--body", "it's"];
        assert_eq!(
            shown_command(typed.map(str::to_owned)),
            "wirebench load --header 'Authorization: …' '--header=Accept: a' --body 'it'\\''s'"
        );
    }
}
