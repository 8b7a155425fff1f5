//! What a generated client cannot be made to send: a rule about types, one for all cases. The
//! clients are those that openapi-generator, graphql_client and prost make in Rust of
//! `openapi.json`, `schema.graphql` and `market.proto`, with a program that the compiler accepts
//! and no cast that cuts.

use super::cases::RefusedBy;

/// What a field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Whole,
    Side,
}

/// What is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mutation {
    WrongType,
    Null,
    Missing,
    Misspelt,
    Twice,
    Fraction,
    Negative,
    OverU32,
    OverI64,
    UnknownName,
    UnknownNumber,
    KnownNumber,
    /// Right by its type, and refused by the market.
    Domain,
}

impl Mutation {
    /// The group of rows that it belongs to.
    pub(super) fn group(self) -> &'static str {
        match self {
            Mutation::WrongType => "wrong type",
            Mutation::Null => "null",
            Mutation::Missing => "missing",
            Mutation::Misspelt => "unknown or misspelt",
            Mutation::Twice => "twice",
            Mutation::Fraction => "not a whole number",
            Mutation::Negative | Mutation::OverU32 | Mutation::OverI64 => "out of range",
            Mutation::UnknownName | Mutation::UnknownNumber | Mutation::KnownNumber => "enum",
            Mutation::Domain => "right type, wrong value",
        }
    }
}

/// Whose type system refuses a mutation of a field, and why.
pub(super) fn refused_by(name: &str, kind: Kind, mutation: Mutation) -> RefusedBy {
    let [openapi, graphql, protobuf] = match kind {
        Kind::Text => ["Option<String>", "String", "String"],
        Kind::Whole => ["Option<i32>", "i64", "u32"],
        Kind::Side => ["Option<Side>, an enum", "Side, an enum that is open to other names", "i32"],
    };
    let [by_openapi, by_graphql, by_protobuf] = match mutation {
        Mutation::WrongType | Mutation::Fraction | Mutation::OverI64 => [true; 3],
        // None is left out and never written as null; protobuf has none at all.
        Mutation::Null => [true; 3],
        // Every field has a default in OpenAPI, and in protobuf the type's zero.
        Mutation::Missing => [false, true, false],
        Mutation::Misspelt | Mutation::Twice => [true; 3],
        Mutation::Negative => [false, false, true],
        Mutation::OverU32 => [true, false, true],
        Mutation::UnknownName => [true, false, false],
        Mutation::UnknownNumber => [true, true, false],
        Mutation::KnownNumber => [true, true, false],
        Mutation::Domain => [false; 3],
    };
    let why = |refuses: bool, is: &str| {
        refuses.then(|| match mutation {
            Mutation::Misspelt => "the struct has no such field".to_owned(),
            Mutation::Twice => format!("`{name}` can be set once"),
            Mutation::Null => format!("`{name}` is {is}, which is never written as null"),
            Mutation::Missing => format!("`{name}` is {is}, which must be given"),
            _ => format!("`{name}` is {is}"),
        })
    };
    RefusedBy {
        openapi: why(by_openapi, openapi),
        graphql: why(by_graphql, graphql),
        protobuf: why(by_protobuf, protobuf),
    }
}
