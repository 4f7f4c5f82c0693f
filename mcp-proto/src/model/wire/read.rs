//! What the expansions of the macros call to read an object member by member.

use core::fmt::Write as _;
use core::marker::PhantomData;
use core::{fmt, ops};

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::String;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

/// A type that is read from the members of an object.
pub(crate) trait Members<'de>: Sized {
    /// What an error says was expected.
    const EXPECTING: &'static str;

    /// Whether the member is one that `extra` never holds.
    fn claims(key: &str) -> bool;

    /// Reads the members; `tag_read` says that the tag was among those read before.
    fn read<A: MapAccess<'de>>(map: A, tag_read: bool) -> Result<Self, A::Error>;
}

/// Reads an object as the type that `Members` is implemented for.
pub(crate) struct ObjectVisitor<T>(PhantomData<T>);

impl<T> ObjectVisitor<T> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<'de, T: Members<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTING)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::read(map, false)
    }
}

/// What a key of an object means to the type that reads it.
pub(crate) enum Key<F> {
    Known(F),
    Tag,
    Meta,
    Unknown(String),
}

/// Reads a key without allocating if the type knows it, escaped or not.
pub(crate) struct KeySeed<F>(pub(crate) fn(&str) -> Option<Key<F>>);

impl<'de, F> DeserializeSeed<'de> for KeySeed<F> {
    type Value = Key<F>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key<F>, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<F> Visitor<'_> for KeySeed<F> {
    type Value = Key<F>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Key<F>, E> {
        Ok((self.0)(key).unwrap_or_else(|| Key::Unknown(key.into())))
    }

    fn visit_string<E: Error>(self, key: String) -> Result<Key<F>, E> {
        Ok((self.0)(&key).unwrap_or(Key::Unknown(key)))
    }
}

/// The tag of a struct that belongs to a union: read once, and equal to what the struct says.
pub(crate) struct Tag {
    expected: Option<(&'static str, &'static str)>,
    read: bool,
}

impl Tag {
    pub(crate) fn new<const N: usize>(expected: [(&'static str, &'static str); N], read: bool) -> Self {
        Self { expected: expected.first().copied(), read }
    }

    pub(crate) fn read<'de, A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        let Some((tag, expected)) = self.expected else { return skip(map) };
        if self.read {
            return Err(A::Error::duplicate_field(tag));
        }
        self.read = true;
        let kind: Text<'de> = map.next_value().map_err(|error| inside(tag, &error))?;
        if *kind != *expected {
            return Err(A::Error::custom(format_args!("{tag}: expected `{expected}`, found `{:.64}`", &*kind)));
        }
        Ok(())
    }

    pub(crate) fn finish<E: Error>(self) -> Result<(), E> {
        match self.expected {
            Some((tag, _)) if !self.read => Err(E::missing_field(tag)),
            _ => Ok(()),
        }
    }
}

/// Reads a known member into its slot.
pub(crate) fn read_once<'de, T, A>(slot: &mut Option<T>, key: &'static str, map: &mut A) -> Result<(), A::Error>
where
    T: Deserialize<'de>,
    A: MapAccess<'de>,
{
    if slot.is_some() {
        return Err(A::Error::duplicate_field(key));
    }
    *slot = Some(map.next_value().map_err(|error| inside(key, &error))?);
    Ok(())
}

/// Reads a member that the type does not know.
pub(crate) fn read_unknown<'de, A: MapAccess<'de>>(
    extra: &mut Map<String, Value>,
    key: String,
    map: &mut A,
) -> Result<(), A::Error> {
    if extra.contains_key(&key) {
        return Err(A::Error::custom(format_args!("duplicate field `{key:.64}`")));
    }
    let value = map.next_value().map_err(|error| inside(&key, &error))?;
    extra.insert(key, value);
    Ok(())
}

/// Reads the members of an object whose kind is not known, after its tag.
pub(crate) fn read_members<'de, A: MapAccess<'de>>(
    mut map: A,
    tag: &'static str,
) -> Result<Map<String, Value>, A::Error> {
    let mut members = Map::new();
    while let Some(key) = map.next_key::<String>()? {
        if key == tag {
            return Err(A::Error::duplicate_field(tag));
        }
        read_unknown(&mut members, key, &mut map)?;
    }
    Ok(members)
}

/// Passes over the value of a member.
pub(crate) fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(|_| ())
}

/// Names the member in which an error happened. Errors quote what a peer sent, so they are cut.
#[cold]
pub(crate) fn inside<E: Error>(key: &str, error: &E) -> E {
    let mut text = Cut(String::new());
    match write!(text, "{key:.64}: {error}") {
        Ok(()) => E::custom(text.0),
        Err(fmt::Error) => E::custom(format_args!("{}...", text.0)),
    }
}

/// Text up to a limit.
struct Cut(String);

impl fmt::Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        const LIMIT: usize = 512;
        let mut room = text.len().min(LIMIT - self.0.len());
        while !text.is_char_boundary(room) {
            room -= 1;
        }
        self.0.push_str(&text[..room]);
        if room == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

/// A string, borrowed from the input if it has no escapes.
pub(crate) struct Text<'de>(pub(crate) Cow<'de, str>);

impl ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.into())))
            }

            fn visit_string<E: Error>(self, text: String) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text)))
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}

/// An integer, also if the peer writes it as `100.0`: JSON does not tell the two apart.
pub(crate) struct Integer(i64);

impl From<Integer> for i64 {
    fn from(integer: Integer) -> Self {
        integer.0
    }
}

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IntegerVisitor;

        impl Visitor<'_> for IntegerVisitor {
            type Value = Integer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Integer, E> {
                Ok(Integer(number))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Integer, E> {
                i64::try_from(number).map(Integer).map_err(|_| E::custom("the integer is too large"))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Integer, E> {
                const EXACT: f64 = 9_007_199_254_740_992.0;
                let integer = number as i64;
                if (-EXACT..=EXACT).contains(&number) && integer as f64 == number {
                    Ok(Integer(integer))
                } else {
                    Err(E::custom(format_args!("{number} is not an integer")))
                }
            }
        }

        deserializer.deserialize_i64(IntegerVisitor)
    }
}

/// An integer or `null`, for members that must be there and may be `null`.
pub(crate) struct Nullable(Option<i64>);

impl From<Nullable> for Option<i64> {
    fn from(nullable: Nullable) -> Self {
        nullable.0
    }
}

impl<'de> Deserialize<'de> for Nullable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<Integer>::deserialize(deserializer).map(|integer| Self(integer.map(Into::into)))
    }
}

/// A map in which no key stands twice.
pub(crate) struct OnceMap<V>(pub(crate) BTreeMap<String, V>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for OnceMap<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MapVisitor<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for MapVisitor<V> {
            type Value = OnceMap<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OnceMap<V>, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some(key) = map.next_key::<String>()? {
                    if entries.contains_key(&key) {
                        return Err(A::Error::custom(format_args!("duplicate field `{key:.64}`")));
                    }
                    let value = map.next_value().map_err(|error| inside(&key, &error))?;
                    entries.insert(key, value);
                }
                Ok(OnceMap(entries))
            }
        }

        deserializer.deserialize_map(MapVisitor(PhantomData))
    }
}
