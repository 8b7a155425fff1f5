//! Files that nobody vouches for. What is read has a bound before it is read and is never waited
//! for; what is written has a name that nobody can guess until it is whole, and goes through no
//! link that another user left; a temporary folder is this user's alone and gone at the end.
//! Nothing here knows what is in a file.

mod error;
mod folder;
mod links;
mod read;
mod temporary;
mod write;

pub use error::FileError;
pub use folder::{make_folder, make_new_folder};
pub use read::{open, read, read_text};
pub use temporary::TemporaryFolder;
pub use write::{check_writable, create, point, write_atomically, write_new};
