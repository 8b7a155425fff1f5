//! Writing whole or not at all, under no name that another could have taken before.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use tempfile::{Builder, NamedTempFile};

use crate::FileError;
use crate::links::{is_trusted, refuse_foreign};
use crate::read::kind;

/// What a process gives to a new file before the user's mask takes some of it away.
const MODE: u32 = 0o666;
/// Letters and digits of a name that is unfinished: 71 bits, more than anybody guesses.
const RANDOM: usize = 12;

/// Writes a file so that a reader sees the old one or the new one, and never half of it. What is
/// unfinished lies beside it under a random name, made anew; a link in the file's place is replaced
/// and not followed.
///
/// # Errors
/// Where another user left a link on the way, or the system refuses.
pub fn write_atomically(path: &Path, contents: &[u8]) -> Result<(), FileError> {
    let file = unfinished(path, contents)?;
    file.persist(path).map(drop).map_err(|error| refused(path, error.error))
}

/// The same, only where nothing has the name yet: `false` where something has.
///
/// # Errors
/// As [`write_atomically`].
pub fn write_new(path: &Path, contents: &[u8]) -> Result<bool, FileError> {
    match unfinished(path, contents)?.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(refused(path, error.error)),
    }
}

/// The same, for what goes on to be written bit by bit: gives the file, open behind its contents.
///
/// # Errors
/// As [`write_atomically`].
pub fn create(path: &Path, contents: &[u8]) -> Result<File, FileError> {
    let file = unfinished(path, contents)?;
    file.persist(path).map_err(|error| refused(path, error.error))
}

/// Finds out whether [`write_atomically`] can write a file, and leaves nothing of it.
///
/// # Errors
/// As [`write_atomically`].
pub fn check_writable(path: &Path) -> Result<(), FileError> {
    if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(FileError::NoFile { path: path.to_owned(), kind: "a folder" });
    }
    unfinished(path, &[]).map(drop)
}

/// Makes `link` point to `target`, in one step: a reader sees where it led before, or this.
///
/// # Errors
/// As [`write_atomically`].
pub fn point(link: &Path, target: &Path) -> Result<(), FileError> {
    let folder = parent(link);
    refuse_foreign(folder)?;
    let make = |path: &Path| std::os::unix::fs::symlink(target, path);
    let unfinished = builder(&prefix(link)).make_in(folder, make).map_err(|reason| refused(link, reason))?;
    unfinished.into_temp_path().persist(link).map_err(|error| refused(link, error.error))
}

fn unfinished(path: &Path, contents: &[u8]) -> Result<NamedTempFile, FileError> {
    let folder = parent(path);
    refuse_foreign(folder)?;
    refuse_what_is_no_file(path)?;
    // Opened here, and written to as a file: errors of the library's own have the random name.
    let open = |path: &Path| OpenOptions::new().read(true).write(true).create_new(true).mode(MODE).open(path);
    let write = || {
        let mut file = builder(&prefix(path)).make_in(folder, open)?;
        file.as_file_mut().write_all(contents)?;
        file.as_file().sync_all()?;
        Ok(file)
    };
    write().map_err(|reason| refused(path, reason))
}

/// Names such as `.report.html.x8Yq2b7Lk9Pz.unfinished`.
fn builder(prefix: &str) -> Builder<'_, 'static> {
    let mut builder = Builder::new();
    builder.prefix(prefix).suffix(".unfinished").rand_bytes(RANDOM);
    builder
}

fn prefix(path: &Path) -> String {
    format!(".{}.", path.file_name().unwrap_or_default().to_string_lossy())
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A device or a folder in a file's place is somebody's, and is not replaced; nor is a link that
/// leads to one, as `/dev/stdout` does.
fn refuse_what_is_no_file(path: &Path) -> Result<(), FileError> {
    let kind = match fs::metadata(path) {
        _ if ["/dev", "/proc"].iter().any(|system| path.starts_with(system)) => Some("a device"),
        Ok(metadata) => kind(metadata.file_type()),
        Err(_) => None,
    };
    kind.map_or(Ok(()), |kind| Err(FileError::NoFile { path: path.to_owned(), kind }))
}

/// What the system refused, and whose the folder is where that may be why.
fn refused(path: &Path, reason: io::Error) -> FileError {
    let owner = fs::metadata(parent(path)).map(|folder| folder.uid()).ok();
    match owner.filter(|owner| !is_trusted(*owner)) {
        Some(owner) => FileError::ForeignFolder { path: path.to_owned(), owner, reason },
        None if reason.kind() == io::ErrorKind::NotFound && !parent(path).exists() => {
            FileError::NoFolder { path: path.to_owned(), folder: parent(path).to_owned() }
        }
        None => FileError::System { path: path.to_owned(), reason },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};

    use super::*;

    /// Files of a folder, hidden ones too.
    fn names(folder: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn a_link_in_a_files_place_is_replaced_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let [victim, page, unfinished] =
            ["victim", "report.html", "report.html.unfinished"].map(|name| folder.path().join(name));
        fs::write(&victim, "as it was").unwrap();
        symlink(&victim, &page).unwrap();
        symlink(&victim, &unfinished).unwrap();
        write_atomically(&page, b"new").unwrap();
        assert_eq!(
            (fs::read(&victim).unwrap(), fs::read(&page).unwrap()),
            (b"as it was".to_vec(), b"new".to_vec())
        );
        assert!(!fs::symlink_metadata(&page).unwrap().is_symlink());
        assert_eq!(names(folder.path()), ["report.html", "report.html.unfinished", "victim"]);
        // What others may read of it is what the user lets them.
        assert_eq!(fs::metadata(&page).unwrap().mode() & 0o700, 0o600);
        fs::remove_file(&page).unwrap();
        symlink(&victim, &page).unwrap();
        create(&page, b"bit ").unwrap().write_all(b"by bit").unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"as it was");
        assert_eq!(fs::read(&page).unwrap(), b"bit by bit");
    }

    #[test]
    fn a_name_that_is_taken_is_not_written_over_where_it_must_be_new() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.1.json");
        assert!(write_new(&path, b"one").unwrap());
        assert!(!write_new(&path, b"other").unwrap());
        assert_eq!((fs::read(&path).unwrap(), names(folder.path()).len()), (b"one".to_vec(), 1));
        symlink("/nowhere", folder.path().join("x.2.json")).unwrap();
        assert!(!write_new(&folder.path().join("x.2.json"), b"other").unwrap());
    }

    #[test]
    fn a_link_is_pointed_elsewhere_in_one_step() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("latest");
        for target in ["one", "two"] {
            point(&link, Path::new(target)).unwrap();
            assert_eq!(fs::read_link(&link).unwrap(), Path::new(target));
        }
        assert_eq!(names(folder.path()), ["latest"]);
    }

    #[test]
    fn what_is_no_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.html");
        fs::create_dir(&path).unwrap();
        let error = write_atomically(&path, b"new").unwrap_err().to_string();
        assert!(error.contains("is a folder"), "{error}");
        let link = folder.path().join("link");
        symlink("/dev/null", &link).unwrap();
        for path in [Path::new("/dev/null"), Path::new("/dev/stdout"), &link] {
            assert!(matches!(write_atomically(path, b"new"), Err(FileError::NoFile { .. })), "{path:?}");
        }
    }

    #[test]
    fn a_place_is_tried_and_nothing_is_left_there() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("old"), "as it was").unwrap();
        for name in ["new.csv", "old"] {
            check_writable(&at(name)).unwrap();
        }
        let long = "x".repeat(300);
        for (name, said) in [
            ("no/such.csv", "there is no folder"),
            ("folder/", "a folder"),
            (&long, "too long"),
            ("", "a folder"),
        ] {
            let error = check_writable(&at(name)).unwrap_err().to_string();
            assert!(error.contains(said) && !error.contains("unfinished"), "{name}: {error}");
        }
        assert_eq!(
            (names(folder.path()), fs::read(at("old")).unwrap()),
            (vec!["old".to_owned()], b"as it was".to_vec())
        );
    }

    /// Only root can give a link to somebody else; for others there is nothing to see here.
    #[test]
    fn a_link_that_another_user_left_is_not_followed() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let [real, link] = ["real", "link"].map(|name| folder.path().join(name));
        fs::create_dir(&real).unwrap();
        symlink(&real, &link).unwrap();
        write_atomically(&link.join("mine.html"), b"new").unwrap();
        std::os::unix::fs::lchown(&link, Some(12_345), None).unwrap();
        for error in [
            write_atomically(&link.join("theirs.html"), b"new").unwrap_err(),
            crate::make_folder(&link.join("folder")).unwrap_err(),
        ] {
            let error = error.to_string();
            assert!(error.contains("link is a link that user 12345 left"), "{error}");
        }
        assert_eq!(names(&real), ["mine.html"]);
        // A folder of somebody else is written safely where the system allows it at all.
        chown(&real, Some(12_345), None).unwrap();
        write_atomically(&real.join("other.html"), b"new").unwrap();
        assert_eq!(names(&real), ["mine.html", "other.html"]);
    }
}
