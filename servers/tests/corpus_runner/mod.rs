//! Runs the hostile corpus. Each file in `tests/corpus` is an input: `input` and `script` read it,
//! `conversation` says it to a server, `answer` judges what comes back, `folder` watches the server
//! meanwhile.

mod answer;
mod conversation;
mod encode;
mod escape;
pub(crate) mod folder;
mod good;
mod heard;
mod http1;
mod http2;
pub(crate) mod input;
mod peer;
pub(crate) mod process;
mod render;
mod script;
pub(crate) mod table;
