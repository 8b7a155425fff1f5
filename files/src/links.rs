//! Links on the way to what is written.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::unistd::geteuid;

use crate::FileError;

/// Refuses a path with a link on it that is neither this user's nor root's. The links that a user
/// made are followed: `results` may lie on another disk.
///
/// # Errors
/// [`FileError::ForeignLink`], and the system's where the path has no absolute form.
pub(crate) fn refuse_foreign(path: &Path) -> Result<(), FileError> {
    let whole =
        std::path::absolute(path).map_err(|reason| FileError::System { path: path.to_owned(), reason })?;
    let steps: Vec<&Path> = whole.ancestors().collect();
    for step in steps.into_iter().rev() {
        // What is not there yet is no link.
        let Ok(metadata) = fs::symlink_metadata(step) else { continue };
        if metadata.is_symlink() && !is_trusted(metadata.uid()) {
            return Err(FileError::ForeignLink { link: step.to_owned(), owner: metadata.uid() });
        }
    }
    Ok(())
}

/// Whether a user's links and folders are followed: this process's own, and root's.
pub(crate) fn is_trusted(owner: u32) -> bool {
    owner == 0 || owner == geteuid().as_raw()
}
