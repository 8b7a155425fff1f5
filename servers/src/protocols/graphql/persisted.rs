//! Persisted queries (Apollo's `persistedQuery` extension, version 1): a query that was asked once
//! in full is asked by its hash from then on. Kept is what was answered without an error, and so
//! much of it as fits a budget of bytes.

use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::parser::types::ExecutableDocument;
use async_graphql::{Name, Value};
use lru::LruCache;
use sha2::{Digest as _, Sha256};

/// What a parsed document takes for each token of its text, at most, in bytes: of `{a{a{a` and its
/// like, which take most, 64 KiB of text took 6.9 MB.
const BYTES_A_TOKEN: usize = 256;

/// What a request says of persisting, read from its extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hash(String);

impl Hash {
    /// Reads the extension's value.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(value: &Value) -> Result<Hash, String> {
        let Value::Object(fields) = value else {
            return Err("persistedQuery is an object with version and sha256Hash".to_owned());
        };
        let version = fields.get(&Name::new("version"));
        if !matches!(version, Some(Value::Number(number)) if number.as_u64() == Some(1)) {
            return Err("persistedQuery has version 1 and no other".to_owned());
        }
        match fields.get(&Name::new("sha256Hash")) {
            Some(Value::String(hash)) => Ok(Hash(hash.clone())),
            _ => Err("persistedQuery needs the text sha256Hash".to_owned()),
        }
    }

    /// Whether it is this query's, in lower case as the extension has it.
    pub(super) fn is_of(&self, query: &str) -> bool {
        self.0 == format!("{:x}", Sha256::digest(query.as_bytes()))
    }
}

/// A document, and what it is reckoned to take in memory.
struct Kept {
    document: Arc<ExecutableDocument>,
    bytes: usize,
}

/// The documents that are kept, the least used forgotten first.
#[derive(Clone)]
pub(super) struct Persisted(Arc<Mutex<Store>>);

struct Store {
    documents: LruCache<Hash, Kept>,
    bytes: usize,
    number_max: usize,
    bytes_max: usize,
}

impl std::hash::Hash for Hash {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Persisted {
    /// Keeps so many documents, of so many bytes together.
    pub(super) fn new(number_max: usize, bytes_max: usize) -> Persisted {
        let documents = LruCache::unbounded();
        Persisted(Arc::new(Mutex::new(Store { documents, bytes: 0, number_max, bytes_max })))
    }

    /// The document of a hash.
    pub(super) fn find(&self, hash: &Hash) -> Option<ExecutableDocument> {
        let document = {
            let mut store = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&store.documents.get(hash)?.document)
        };
        Some(document.as_ref().clone())
    }

    /// Keeps a document of so many tokens, whose text has so many bytes: a name may have nearly all
    /// of them.
    pub(super) fn keep(&self, hash: Hash, document: ExecutableDocument, tokens: usize, text: usize) {
        let bytes = tokens.saturating_mul(BYTES_A_TOKEN).saturating_add(text);
        let kept = Kept { document: Arc::new(document), bytes };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keep(hash, kept);
    }
}

impl Store {
    fn keep(&mut self, hash: Hash, kept: Kept) {
        if kept.bytes > self.bytes_max {
            return;
        }
        self.bytes += kept.bytes;
        if let Some(before) = self.documents.put(hash, kept) {
            self.bytes -= before.bytes;
        }
        while self.bytes > self.bytes_max || self.documents.len() > self.number_max {
            let Some((_, forgotten)) = self.documents.pop_lru() else { return };
            self.bytes -= forgotten.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn hash(nth: usize) -> Hash {
        Hash(nth.to_string())
    }

    #[test]
    fn the_least_used_goes_first_and_what_is_too_large_is_not_kept() {
        let persisted = Persisted::new(3, 10 * BYTES_A_TOKEN);
        let document = || parse_query("{a}").unwrap();
        (0..4).for_each(|nth| persisted.keep(hash(nth), document(), 1, 0));
        assert!(persisted.find(&hash(0)).is_none(), "three are kept");
        assert!(persisted.find(&hash(1)).is_some());
        persisted.keep(hash(4), document(), 8, 0);
        assert!(persisted.find(&hash(2)).is_none(), "the least used goes");
        assert!(persisted.find(&hash(1)).is_some() && persisted.find(&hash(4)).is_some());
        persisted.keep(hash(5), document(), 11, 0);
        assert!(persisted.find(&hash(5)).is_none() && persisted.find(&hash(4)).is_some());
        // The same once more counts once.
        (0..20).for_each(|_| persisted.keep(hash(4), document(), 8, 0));
        assert!(persisted.find(&hash(1)).is_some());
    }
}
