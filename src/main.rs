//! Thin: everything is in the library.

use std::process::ExitCode;

/// The same allocator for every client and every server: see `docs/BIAS.md`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    wirebench::cli::main()
}
