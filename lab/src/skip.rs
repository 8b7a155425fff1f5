//! Tests that this machine cannot run, in this room and in others.

/// Says why a test shows nothing here. Where `WIREBENCH_SKIP_NOTHING` is set, as in CI, it fails:
/// what a test needs is then there, or missing by mistake.
///
/// # Panics
/// Where nothing may be skipped.
pub fn skip(why: &str) {
    assert!(std::env::var_os("WIREBENCH_SKIP_NOTHING").is_none(), "nothing may be skipped: {why}");
    // The test harness keeps what a macro prints, and shows it where the test fails.
    #[allow(clippy::print_stderr, reason = "a test says it")]
    {
        eprintln!("skipped: {why}");
    }
}
