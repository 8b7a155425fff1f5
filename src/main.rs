//! Thin: everything is in the library.

use std::process::ExitCode;

/// The same allocator for every client and every server: see `docs/BIAS.md`.
#[cfg(not(feature = "count-allocations"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The same, and counted.
#[cfg(feature = "count-allocations")]
#[global_allocator]
static ALLOCATOR: wirebench::allocations::Counting<mimalloc::MiMalloc> =
    wirebench::allocations::Counting(mimalloc::MiMalloc);

fn main() -> ExitCode {
    wirebench::cli::main()
}
