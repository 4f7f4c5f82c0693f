//! Reads an object whose meaning hangs on one member, wherever that member stands.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Value;

use super::read::{Text, inside};

/// The members of an object except its tag: those before it, which were held, then those that are still to be read.
pub(crate) struct Replay<'de, A> {
    held: vec::IntoIter<(Cow<'de, str>, Value)>,
    value: Option<Value>,
    rest: A,
    tag: &'static str,
}

impl<'de, A: MapAccess<'de>> Replay<'de, A> {
    /// Reads up to the tag; gives its value and all other members.
    pub(crate) fn up_to(mut map: A, tag: &'static str) -> Result<(Cow<'de, str>, Self), A::Error> {
        let mut held = Vec::new();
        while let Some(Text(key)) = map.next_key()? {
            if key == tag {
                let Text(kind) = map.next_value().map_err(|error| inside(tag, &error))?;
                return Ok((kind, Self { held: held.into_iter(), value: None, rest: map, tag }));
            }
            let value = map.next_value().map_err(|error| inside(&key, &error))?;
            held.push((key, value));
        }
        Err(A::Error::missing_field(tag))
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Replay<'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        match self.held.next() {
            Some((key, value)) => {
                self.value = Some(value);
                seed.deserialize(key.into_deserializer()).map(Some)
            }
            None => self.rest.next_key_seed(seed),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        match self.value.take() {
            Some(value) => seed.deserialize(Held { value, tag: self.tag }).map_err(A::Error::custom),
            None => self.rest.next_value_seed(seed),
        }
    }
}

/// A value that was held. Objects in it give their tag first, so that an object inside is not held once more: without this,
/// the cost of nested objects would grow with the square of their depth.
struct Held {
    value: Value,
    tag: &'static str,
}

impl<'de> IntoDeserializer<'de, serde_json::Error> for Held {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! as_value {
    ($($method:ident)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
                self.value.$method(visitor)
            }
        )*
    };
}

impl<'de> Deserializer<'de> for Held {
    type Error = serde_json::Error;

    // Numbers are asked for by type: with arbitrary precision, `deserialize_any` gives them in another form.
    as_value! { deserialize_any deserialize_i64 deserialize_u64 deserialize_f64 deserialize_ignored_any }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        let Self { value, tag } = self;
        match value {
            Value::Array(values) => {
                visitor.visit_seq(SeqDeserializer::new(values.into_iter().map(|value| Self { value, tag })))
            }
            other => other.deserialize_seq(visitor),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        let Self { value, tag } = self;
        match value {
            Value::Object(members) => {
                let mut members: Vec<(String, Value)> = members.into_iter().collect();
                members.sort_by_key(|(key, _)| key != tag);
                let members = members.into_iter().map(|(key, value)| (key, Self { value, tag }));
                visitor.visit_map(MapDeserializer::new(members))
            }
            other => other.deserialize_map(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i128 u8 u16 u32 u128 f32 char str string bytes byte_buf unit unit_struct newtype_struct tuple
        tuple_struct struct enum identifier
    }
}
