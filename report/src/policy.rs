//! What a page may do: nothing but be read. Its Content-Security-Policy allows its own style and
//! its own script by the hashes of them, and its empty icon; no other script, no request, no frame
//! and no form, wherever it is opened and whatever a record puts into it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// The script of every page, which is ours and has nothing of a record in it.
pub(crate) const SCRIPT: &str = include_str!("templates/page.js");
/// What all heads begin with: the policy comes before anything that it is about.
const BEGINNING: &str = "<meta charset=\"utf-8\">\n";
const REPLACEMENT: &str = "\u{fffd}";

/// A page with its policy, and without the beginnings of a terminal's commands: who shows its
/// source in a terminal is as safe.
pub(crate) fn with_policy(page: &str) -> String {
    let policy = format!(
        "{BEGINNING}<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src {}; script-src {}; \
         img-src data:; base-uri 'none'; form-action 'none'\">\n",
        hash(style(page)),
        hash(SCRIPT)
    );
    let page = page.replacen(BEGINNING, &policy, 1);
    page.replace(|letter: char| letter == '\u{1b}' || ('\u{7f}'..='\u{9f}').contains(&letter), REPLACEMENT)
}

/// The page's one style, which is ours: records come after it, and have no markup.
fn style(page: &str) -> &str {
    let after = page.split_once("<style>").map_or("", |(_, after)| after);
    after.split_once("</style>").map_or("", |(style, _)| style)
}

/// As a policy names what is inline (CSP level 3, section 2.3.1).
fn hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_may_have_its_own_style_and_script_and_nothing_else() {
        let page =
            format!("<head>\n{BEGINNING}<title>t</title>\n<style>b{{}}</style></head>\u{1b}[1m\u{9b}é");
        let with = with_policy(&page);
        // printf 'b{}' | openssl dgst -sha256 -binary | base64
        let hash = "'sha256-7yqHVAesot11p6HczDsgKRipvI5UPgs97z80zNXlans='";
        let script = super::hash(SCRIPT);
        let expected = format!(
            "<head>\n{BEGINNING}<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src {hash}; \
             script-src {script}; img-src data:; base-uri 'none'; form-action 'none'\">\n<title>"
        );
        assert!(with.starts_with(&expected), "{with}");
        assert!(with.ends_with("</head>\u{fffd}[1m\u{fffd}é"), "{with}");
    }
}
