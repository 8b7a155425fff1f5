//! Why a file is not read or not written, and what to do.

use std::io;
use std::path::PathBuf;

/// Why a file is not read or not written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system's reason.
    #[error("{}: {reason}", path.display())]
    System {
        /// Which file.
        path: PathBuf,
        /// The reason.
        reason: io::Error,
    },
    /// There is no folder that it could lie in.
    #[error("{}: there is no folder {}", path.display(), folder.display())]
    NoFolder {
        /// Which file.
        path: PathBuf,
        /// The folder.
        folder: PathBuf,
    },
    /// It is a folder, a pipe, a device or a socket: reading it could wait for ever.
    #[error("{} is {kind}, and no regular file: name a file", path.display())]
    NoFile {
        /// Which.
        path: PathBuf,
        /// What it is, with its article.
        kind: &'static str,
    },
    /// It has more bytes than whoever reads it allows.
    #[error("{} has more than {bytes_max} bytes, which is the most that is read of such a file", path.display())]
    TooLong {
        /// Which.
        path: PathBuf,
        /// The bound, in bytes.
        bytes_max: u64,
    },
    /// It is no UTF-8.
    #[error("{} is no text: its bytes are not UTF-8", path.display())]
    NoText {
        /// Which.
        path: PathBuf,
    },
    /// Another user left a link on the way to it.
    #[error(
        "{} is a link that user {owner} left, and what is written through it could go anywhere: remove it, or write to a folder \
         of your own",
        link.display()
    )]
    ForeignLink {
        /// The link.
        link: PathBuf,
        /// Whose it is: a user's number.
        owner: u32,
    },
    /// It cannot be written into the folder of another user.
    #[error(
        "{} cannot be written: {reason}; its folder belongs to user {owner}: copy what is there to a folder of your own",
        path.display()
    )]
    ForeignFolder {
        /// Which file.
        path: PathBuf,
        /// Whose the folder is: a user's number.
        owner: u32,
        /// The system's reason.
        reason: io::Error,
    },
}
