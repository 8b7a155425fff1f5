//! Reading within a bound, and never waiting.

use std::fs::{self, File, FileType, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::libc::{O_NOCTTY, O_NONBLOCK};

use crate::FileError;

/// Reads a file of at most `bytes_max` bytes, whole. Its length is looked at before anything is
/// read, and a file that grows meanwhile is read no further than the bound.
///
/// # Errors
/// Where it is no regular file, has more bytes, or the system refuses.
pub fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, FileError> {
    let (file, metadata) = open(path, bytes_max)?;
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
    let read = file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes);
    match u64::try_from(read.map_err(|reason| FileError::System { path: path.to_owned(), reason })?) {
        Ok(read) if read <= bytes_max => Ok(bytes),
        _ => Err(FileError::TooLong { path: path.to_owned(), bytes_max }),
    }
}

/// Opens a file of at most `bytes_max` bytes, to be read bit by bit; gives what the system says of
/// it too.
///
/// # Errors
/// As [`read`].
pub fn open(path: &Path, bytes_max: u64) -> Result<(File, Metadata), FileError> {
    let failed = |reason: io::Error| FileError::System { path: path.to_owned(), reason };
    // Opening a device can do something by itself: it is looked at first, and again once it is
    // open, since it may be another by then.
    require_file(path, &fs::metadata(path).map_err(failed)?)?;
    let file = File::options().read(true).custom_flags(O_NONBLOCK | O_NOCTTY).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    require_file(path, &metadata)?;
    if metadata.len() > bytes_max {
        return Err(FileError::TooLong { path: path.to_owned(), bytes_max });
    }
    Ok((file, metadata))
}

/// The same, of a text.
///
/// # Errors
/// As [`read`], and where the bytes are not UTF-8.
pub fn read_text(path: &Path, bytes_max: u64) -> Result<String, FileError> {
    let bytes = read(path, bytes_max)?;
    String::from_utf8(bytes).map_err(|_| FileError::NoText { path: path.to_owned() })
}

fn require_file(path: &Path, metadata: &Metadata) -> Result<(), FileError> {
    match kind(metadata.file_type()) {
        None => Ok(()),
        Some(kind) => Err(FileError::NoFile { path: path.to_owned(), kind }),
    }
}

/// What is no regular file, in words.
pub(crate) fn kind(of: FileType) -> Option<&'static str> {
    match of {
        of if of.is_file() => None,
        of if of.is_dir() => Some("a folder"),
        of if of.is_fifo() => Some("a pipe"),
        of if of.is_socket() => Some("a socket"),
        of if of.is_symlink() => Some("a link"),
        _ => Some("a device"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use nix::sys::stat::Mode;

    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_bound_and_no_further() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, b"four").unwrap();
        assert_eq!(read(&path, 4).unwrap(), b"four");
        assert_eq!(read_text(&path, 4).unwrap(), "four");
        let error = read(&path, 3).unwrap_err().to_string();
        assert!(error.contains("more than 3 bytes"), "{error}");
        fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(matches!(read_text(&path, 4), Err(FileError::NoText { .. })));
        assert!(matches!(read(&folder.path().join("none"), 4), Err(FileError::System { .. })));
        // Says that it has no bytes, and has some.
        assert!(matches!(read(Path::new("/proc/self/status"), 16), Err(FileError::TooLong { .. })));
        assert!(!read(Path::new("/proc/self/status"), 1 << 20).unwrap().is_empty());
    }

    /// Nobody writes into the pipe: who opens it as a file would wait for ever.
    #[test]
    fn what_is_no_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let [pipe, socket, link] = ["pipe", "socket", "link"].map(|name| folder.path().join(name));
        nix::unistd::mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        let _listener = UnixListener::bind(&socket).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        for (path, kind) in [
            (pipe.as_path(), "a pipe"),
            (&socket, "a socket"),
            (&link, "a device"),
            (folder.path(), "a folder"),
            (Path::new("/dev/zero"), "a device"),
        ] {
            let error = read(path, 1 << 20).unwrap_err().to_string();
            assert!(error.contains(&format!("is {kind}, and no regular file")), "{error}");
        }
    }
}
