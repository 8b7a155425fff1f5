//! Records of runs and of matrices, as they are read from a file.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use tempfile::TempPath;

fuzz_target!(|data: &[u8]| {
    static FILE: OnceLock<TempPath> = OnceLock::new();
    let file =
        FILE.get_or_init(|| tempfile::NamedTempFile::new().expect("a file can be made").into_temp_path());
    std::fs::write(file, data).expect("the file can be written");
    let _ = record::read_any(file);
});
