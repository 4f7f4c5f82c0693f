//! Typed values out of strings: arguments of prompts and variables of templates are strings on the wire, whatever their handler
//! takes.

use serde::de::value::{Error, MapDeserializer, StrDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::handler::Strings;

/// Decodes a struct (or a map) from its fields' texts: `"3"` is a number where the field is one. `Err` says where and why.
pub(super) fn decode<T: DeserializeOwned>(strings: &Strings) -> Result<T, String> {
    serde_path_to_error::deserialize(All(strings)).map_err(|error| format!("{}: {}", error.path(), error.inner()))
}

struct All<'a>(&'a Strings);

impl<'de> Deserializer<'de> for All<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let fields = self.0.iter().map(|(name, text)| (name.as_str(), Text(text)));
        visitor.visit_map(MapDeserializer::new(fields))
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

/// One text, read as what its field is.
struct Text<'a>(&'a str);

impl<'de> IntoDeserializer<'de, Error> for Text<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! parsed {
    ($($deserialize:ident $visit:ident $ty:ty: $what:literal,)*) => {$(
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let Ok(value) = self.0.trim().parse::<$ty>() else {
                return Err(Error::custom(format_args!(concat!("{:?} is not ", $what), Short(self.0))));
            };
            visitor.$visit(value)
        }
    )*};
}

impl<'de> Deserializer<'de> for Text<'_> {
    type Error = Error;

    parsed! {
        deserialize_bool visit_bool bool: "true or false",
        deserialize_i8 visit_i8 i8: "a whole number of 8 bits",
        deserialize_i16 visit_i16 i16: "a whole number of 16 bits",
        deserialize_i32 visit_i32 i32: "a whole number of 32 bits",
        deserialize_i64 visit_i64 i64: "a whole number of 64 bits",
        deserialize_i128 visit_i128 i128: "a whole number of 128 bits",
        deserialize_u8 visit_u8 u8: "a whole number from 0 on of 8 bits",
        deserialize_u16 visit_u16 u16: "a whole number from 0 on of 16 bits",
        deserialize_u32 visit_u32 u32: "a whole number from 0 on of 32 bits",
        deserialize_u64 visit_u64 u64: "a whole number from 0 on of 64 bits",
        deserialize_u128 visit_u128 u128: "a whole number from 0 on of 128 bits",
        deserialize_f32 visit_f32 f32: "a number",
        deserialize_f64 visit_f64 f64: "a number",
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        StrDeserializer::new(self.0).deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// The start of a text, for messages.
struct Short<'a>(&'a str);

impl std::fmt::Debug for Short<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.chars().take(100).collect::<String>().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Tone {
        Formal,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Typed {
        count: u32,
        ratio: f64,
        loud: Option<bool>,
        tone: Tone,
        name: String,
        missing: Option<i8>,
    }

    fn strings(pairs: &[(&str, &str)]) -> Strings {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn texts_become_what_the_field_is() {
        let texts =
            [("count", "3"), ("ratio", "0.5"), ("loud", "true"), ("tone", "formal"), ("name", "7"), ("more", "x")];
        let tone = Tone::Formal;
        let typed = Typed { count: 3, ratio: 0.5, loud: Some(true), tone, name: "7".into(), missing: None };
        assert_eq!(decode::<Typed>(&strings(&texts)), Ok(typed));
        assert_eq!(decode::<()>(&strings(&texts)), Ok(()));
        assert_eq!(decode::<Strings>(&strings(&texts)), Ok(strings(&texts)));
    }

    #[test]
    fn faults_say_where() {
        let error = decode::<Typed>(&strings(&[("count", "-1")])).unwrap_err();
        assert_eq!(error, "count: \"-1\" is not a whole number from 0 on of 32 bits");
        let error = decode::<Typed>(&strings(&[("tone", "rude")])).unwrap_err();
        assert!(error.starts_with("tone: unknown variant `rude`"), "{error}");
    }
}
