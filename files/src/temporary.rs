//! Temporary folders: of a random name, this user's alone, gone at the end. One whose process was
//! killed is removed by the next that makes one.

use std::fs::{self, DirEntry, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use nix::libc::{O_DIRECTORY, O_NOFOLLOW};
use nix::unistd::geteuid;
use tempfile::{Builder, TempDir};

/// How the names of all begin.
const PREFIX: &str = "wirebench-";
/// Letters and digits behind it: 71 bits, more than anybody guesses.
const RANDOM: usize = 12;
/// Nobody else looks in, or puts anything there.
const MODE: u32 = 0o700;
/// Tries to have one: another process may have taken it for one that was left behind.
const TRIES: usize = 3;

/// A temporary folder, which is removed with all that is in it when this is dropped.
#[derive(Debug)]
pub struct TemporaryFolder {
    // Before its lock.
    folder: TempDir,
    /// Held as long as the process lives, however it ends: who can have it may remove the folder.
    _lock: Flock<File>,
}

impl TemporaryFolder {
    /// Makes one in the system's folder for them (`TMPDIR`, or `/tmp`).
    ///
    /// # Errors
    /// The system's, such as a full disk.
    pub fn make() -> io::Result<TemporaryFolder> {
        TemporaryFolder::make_in(&std::env::temp_dir())
    }

    fn make_in(parent: &Path) -> io::Result<TemporaryFolder> {
        remove_left_behind(parent);
        for _ in 0..TRIES {
            let mut builder = Builder::new();
            builder.prefix(PREFIX).rand_bytes(RANDOM).permissions(Permissions::from_mode(MODE));
            let folder = builder.tempdir_in(parent)?;
            if let Some(lock) = lock(folder.path()) {
                return Ok(TemporaryFolder { folder, _lock: lock });
            }
        }
        Err(io::Error::other(format!("a temporary folder in {} goes away at once", parent.display())))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// The lock of a folder that is this user's alone, unless another process has it.
fn lock(path: &Path) -> Option<Flock<File>> {
    let folder = File::options().read(true).custom_flags(O_DIRECTORY | O_NOFOLLOW).open(path).ok()?;
    let metadata = folder.metadata().ok()?;
    if metadata.uid() != geteuid().as_raw() || metadata.mode() & 0o777 != MODE {
        return None;
    }
    let lock = Flock::lock(folder, FlockArg::LockExclusiveNonblock).ok()?;
    // Whoever had it before may have removed the folder.
    let same = fs::symlink_metadata(path).is_ok_and(|now| now.ino() == metadata.ino());
    same.then_some(lock)
}

/// Removes the folders of this user whose processes were killed. It is a help, and no duty: what
/// cannot be removed stays.
fn remove_left_behind(parent: &Path) {
    for path in fs::read_dir(parent).into_iter().flatten().flatten().filter_map(|entry| ours(&entry)) {
        if let Some(_lock) = lock(&path) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

/// The path of an entry that is called as these folders are.
fn ours(entry: &DirEntry) -> Option<PathBuf> {
    let name = entry.file_name();
    let random = name.to_str()?.strip_prefix(PREFIX)?;
    let is_ours = random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_ours.then(|| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_folder_is_its_users_alone_and_gone_at_the_end() {
        let parent = tempfile::tempdir().unwrap();
        let [one, other] = [(); 2].map(|()| TemporaryFolder::make_in(parent.path()).unwrap());
        assert_ne!(one.path(), other.path());
        let metadata = fs::metadata(one.path()).unwrap();
        assert_eq!((metadata.mode() & 0o777, metadata.uid()), (MODE, geteuid().as_raw()));
        fs::write(one.path().join("within"), "x").unwrap();
        let gone = one.path().to_owned();
        drop(one);
        assert!(!gone.exists() && other.path().exists());
        let name = other.path().file_name().unwrap().to_str().unwrap().to_owned();
        assert!(!name.contains(&std::process::id().to_string()), "{name} can be guessed");
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let alive = TemporaryFolder::make_in(parent.path()).unwrap();
        let make = |name: &str, mode| {
            let path = parent.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            fs::write(path.join("within"), "x").unwrap();
            path
        };
        let left = make("wirebench-abcdef012345", MODE);
        let others = [make("wirebench-results", MODE), make("wirebench-abcdef012346", 0o755)];
        let elsewhere = make("elsewhere", MODE);
        std::os::unix::fs::symlink(&elsewhere, parent.path().join("wirebench-abcdef012347")).unwrap();
        let next = TemporaryFolder::make_in(parent.path()).unwrap();
        assert!(!left.exists());
        assert!(others.iter().chain([&elsewhere]).all(|path| path.join("within").exists()));
        assert!(alive.path().exists() && next.path().exists());
    }
}
