//! How the messages look in JSON where that differs from what serde derives: enums by name, masks
//! by path.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserializer, Serialize, Serializer};

/// Writes a protobuf enum (an `i32` in the message) as its snake_case name: `"buy"`, not `1`.
#[derive(Debug)]
pub struct EnumName<E>(PhantomData<E>);

impl<E> EnumName<E>
where
    E: TryFrom<i32> + Into<i32> + Default + Serialize + DeserializeOwned,
{
    /// For `#[serde(with)]`. A number outside the enum is written as the unspecified value.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(number: &i32, serializer: S) -> Result<S::Ok, S::Error> {
        E::try_from(*number).unwrap_or_default().serialize(serializer)
    }

    /// For `#[serde(with)]`.
    ///
    /// # Errors
    /// Where the name is not one of the enum's.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
        E::deserialize(deserializer).map(Into::into)
    }
}

/// Writes a field mask as comma-separated paths, as the protobuf JSON mapping does (but in
/// snake_case).
pub mod mask {
    use super::{Deserializer, Serialize as _, Serializer};
    use prost_types::FieldMask;
    use serde::Deserialize as _;

    /// For `#[serde(with)]`.
    ///
    /// # Errors
    /// The serializer's.
    #[allow(clippy::ref_option, reason = "serde's `with` passes the field by reference")]
    pub fn serialize<S: Serializer>(mask: &Option<FieldMask>, serializer: S) -> Result<S::Ok, S::Error> {
        mask.as_ref().map(|mask| mask.paths.join(",")).serialize(serializer)
    }

    /// For `#[serde(with)]`.
    ///
    /// # Errors
    /// Where the value is neither null nor a string.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<FieldMask>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(|paths| crate::mask::parse(&paths)))
    }
}
