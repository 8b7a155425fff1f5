//! Thin: everything is in the library, but for what this build is.

use std::process::ExitCode;

use record::{Build, Tool};

/// The same allocator for every client and every server: see `docs/BIAS.md`.
#[cfg(not(feature = "count-allocations"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The same, and counted.
#[cfg(feature = "count-allocations")]
#[global_allocator]
static ALLOCATOR: lab::allocations::Counting<mimalloc::MiMalloc> =
    lab::allocations::Counting(mimalloc::MiMalloc);

fn main() -> ExitCode {
    wirebench::cli::main(&this_build())
}

/// What this build is, as `build.rs` found it: read here and nowhere else, so that a commit builds
/// this file again and no other.
fn this_build() -> Tool {
    let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let libraries = env!("WIREBENCH_LIBRARIES").split(' ').filter_map(|pair| pair.split_once('='));
    Tool {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: known(env!("WIREBENCH_COMMIT")),
        build: if env!("WIREBENCH_OPT_LEVEL") == "0" { Build::Debug } else { Build::Release },
        profile: known(env!("WIREBENCH_PROFILE")),
        rustc: known(env!("WIREBENCH_RUSTC")),
        libraries: libraries.map(|(name, version)| (name.to_owned(), version.to_owned())).collect(),
    }
}
