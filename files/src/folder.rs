//! Folders of results: made where they are to be, and never taken from another.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::FileError;
use crate::links::refuse_foreign;

/// Folders of one name and one second, at most: bounds the search for a name that is free.
const NAMES_MAX: u32 = 1_000;

/// Makes a folder and those above it, where they are not there yet.
///
/// # Errors
/// Where another user left a link on the way, or the system refuses.
pub fn make_folder(path: &Path) -> Result<(), FileError> {
    refuse_foreign(path)?;
    fs::create_dir_all(path).map_err(|reason| FileError::System { path: path.to_owned(), reason })
}

/// Makes a folder that was not there before: `NAME` in `parent`, or `NAME-2` and so on where that
/// is taken. Two processes never get the same one.
///
/// # Errors
/// As [`make_folder`].
pub fn make_new_folder(parent: &Path, name: &str) -> Result<PathBuf, FileError> {
    make_folder(parent)?;
    let mut path = parent.join(name);
    for nth in 2..=NAMES_MAX {
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(reason) if reason.kind() == io::ErrorKind::AlreadyExists => {
                path = parent.join(format!("{name}-{nth}"));
            }
            Err(reason) => return Err(FileError::System { path, reason }),
        }
    }
    let reason = io::Error::new(io::ErrorKind::AlreadyExists, "every such name is taken: remove old ones");
    Err(FileError::System { path, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_taken_is_left_to_whoever_took_it() {
        let parent = tempfile::tempdir().unwrap();
        let make = || make_new_folder(&parent.path().join("results"), "now").unwrap();
        let names = [make(), make(), make()].map(|path| path.file_name().unwrap().to_owned());
        assert_eq!(names, ["now", "now-2", "now-3"]);
        // A link of that name, wherever it leads, is a name that is taken.
        std::os::unix::fs::symlink("/nowhere", parent.path().join("results/now-4")).unwrap();
        assert!(make().ends_with("now-5"));
    }
}
