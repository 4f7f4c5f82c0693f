//! How wire types are declared: one macro each for objects, open string enums, unions by a tag and maps, and what they
//! expand to.
//!
//! The expansions decode straight from the input: no derive, no flattening, no buffering of content that is known. So they
//! hold whatever features another crate switches on in `serde_json`, and every member that is not known survives.

mod read;
mod replay;

pub(crate) use self::read::{
    Integer, Key, KeySeed, Members, Nullable, ObjectVisitor, OnceMap, Tag, Text, read_members, read_once, read_unknown,
    skip,
};
pub(crate) use self::replay::Replay;

/// Declares an object of the specification: the struct, its constructor and builders, and both directions of its encoding.
///
/// ```text
/// wire_struct! {
///     /// Docs.
///     #[derive(Default)]                                        // if nothing is required
///     pub struct Name tagged "type" = "name" {                  // the tag is for members of a `wire_union!`
///         /// Docs.
///         required uri: String = "uri",                         // T: an argument of `new`
///         /// Docs.
///         optional(with_title) title: String = "title",         // Option<T>: null reads as None, None is not written
///         /// Docs.
///         defaulted(with_icons) icons: Vec<Icon> = "icons",     // T: absent and null read as the default, always written
///         /// Docs.
///         nullable(with_data) data: Value = "data",             // Option<T>: absent is None, null is a value
///         /// Docs.
///         optional(with_size) size: i64 as Integer = "size",    // read as the type after `as`, then converted
///     }
/// }
/// ```
///
/// `pub struct Name except "resultType"` declares a result: that member belongs to the core, like `_meta`, so it is passed
/// over in reading and never written.
///
/// Members are written in this order, then the unknown ones. A member twice is an error, whether it is known or not.
macro_rules! wire_struct {
    (
        $(#[$attr:meta])*
        pub struct $name:ident $(tagged $tag:literal = $kind:literal)? $(except $core:literal)? {
            $(
                $(#[$doc:meta])*
                $presence:ident $(($with:ident))? $field:ident: $ty:ty $(as $via:ty)? = $key:literal,
            )*
        }
    ) => {
        $(#[$attr])*
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$doc])* pub $field: $crate::model::wire::wire_member!(type $presence $ty),)*
            /// Members this revision of the crate does not know; they survive a round trip.
            ///
            /// A key that has a field of its own is not written from here, nor is a `_meta` that this type does not have, nor
            /// the `resultType` of a result.
            pub extra: ::serde_json::Map<::alloc::string::String, ::serde_json::Value>,
        }

        impl $name {
            $crate::model::wire::wire_new! { $name [] [] $($presence $field: $ty,)* }

            $($(
                #[doc = concat!("The same value with the member `", $key, "`.")]
                #[must_use]
                pub fn $with(mut self, value: impl Into<$ty>) -> Self {
                    self.$field = $crate::model::wire::wire_member!(set $presence value.into());
                    self
                }
            )?)*
        }

        $crate::model::wire::wire_codec! {
            $name [$($tag = $kind)? $(except $core)?] $($presence $field: $ty $(as $via)? = $key,)*
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use ::serde::ser::SerializeMap as _;
                let mut map = serializer.serialize_map(None)?;
                $(map.serialize_entry($tag, $kind)?;)?
                $($crate::model::wire::wire_member!(write $presence map, &self.$field, $key);)*
                for (key, value) in &self.extra {
                    if !<Self as $crate::model::wire::Members<'_>>::claims(key) {
                        map.serialize_entry(key, value)?;
                    }
                }
                map.end()
            }
        }
    };
}

/// The reading half of `wire_struct!`, for a struct declared by hand with the same fields and an `extra`.
macro_rules! wire_codec {
    (
        $name:ident [$($tag:literal = $kind:literal)? $(except $core:literal)?]
        $($presence:ident $field:ident: $ty:ty $(as $via:ty)? = $key:literal,)*
    ) => {
        const _: () = {
            use $crate::model::wire::{Key, KeySeed, Members, ObjectVisitor};

            #[allow(non_camel_case_types)]
            enum Field {
                $($field,)*
            }

            #[allow(unreachable_patterns)]
            fn find(key: &str) -> Option<Key<Field>> {
                match key {
                    $($tag => Some(Key::Tag),)?
                    $($key => Some(Key::Known(Field::$field)),)*
                    "_meta" => Some(Key::Meta),
                    $($core => Some(Key::Meta),)?
                    _ => None,
                }
            }

            impl<'de> Members<'de> for $name {
                const EXPECTING: &'static str = concat!("object ", stringify!($name));

                fn claims(key: &str) -> bool {
                    find(key).is_some()
                }

                fn read<A: ::serde::de::MapAccess<'de>>(mut map: A, tag_read: bool) -> Result<Self, A::Error> {
                    let mut tag = $crate::model::wire::Tag::new([$(($tag, $kind))?], tag_read);
                    let mut extra = ::serde_json::Map::new();
                    $(
                        let mut $field: Option<
                            $crate::model::wire::wire_member!(slot $presence $crate::model::wire::wire_via!($ty $(as $via)?))
                        > = None;
                    )*
                    while let Some(key) = map.next_key_seed(KeySeed(find))? {
                        match key {
                            Key::Known(field) => match field {
                                $(Field::$field => $crate::model::wire::read_once(&mut $field, $key, &mut map)?,)*
                            },
                            Key::Tag => tag.read(&mut map)?,
                            Key::Meta => $crate::model::wire::skip(&mut map)?,
                            Key::Unknown(key) => $crate::model::wire::read_unknown(&mut extra, key, &mut map)?,
                        }
                    }
                    tag.finish()?;
                    Ok(Self { $($field: $crate::model::wire::wire_member!(finish $presence $field, $key),)* extra })
                }
            }

            impl<'de> ::serde::Deserialize<'de> for $name {
                fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    deserializer.deserialize_map(ObjectVisitor::new())
                }
            }
        };
    };
}

/// The constructor of a `wire_struct!`: sorts the fields into arguments and defaults.
macro_rules! wire_new {
    ($name:ident [$($arg:ident: $arg_ty:ty,)*] [$($rest:ident)*] required $field:ident: $ty:ty, $($more:tt)*) => {
        $crate::model::wire::wire_new! { $name [$($arg: $arg_ty,)* $field: $ty,] [$($rest)*] $($more)* }
    };
    ($name:ident [$($args:tt)*] [$($rest:ident)*] $presence:ident $field:ident: $ty:ty, $($more:tt)*) => {
        $crate::model::wire::wire_new! { $name [$($args)*] [$($rest)* $field] $($more)* }
    };
    ($name:ident [$($arg:ident: $ty:ty,)*] [$($rest:ident)*]) => {
        #[doc = concat!("A `", stringify!($name), "` with the members that the specification requires, and no others.")]
        #[must_use]
        pub fn new($($arg: impl Into<$ty>),*) -> Self {
            Self { $($arg: $arg.into(),)* $($rest: Default::default(),)* extra: ::serde_json::Map::new() }
        }
    };
}

/// What the four kinds of presence mean: for the field, while reading, at the end of reading, in a builder, and in writing.
macro_rules! wire_member {
    (type required $ty:ty) => { $ty };
    (type optional $ty:ty) => { Option<$ty> };
    (type defaulted $ty:ty) => { $ty };
    (type nullable $ty:ty) => { Option<$ty> };

    (slot required $ty:ty) => { $ty };
    (slot optional $ty:ty) => { Option<$ty> };
    (slot defaulted $ty:ty) => { Option<$ty> };
    (slot nullable $ty:ty) => { $ty };

    (finish required $slot:expr, $key:literal) => {
        match $slot {
            Some(value) => value.into(),
            None => return Err(::serde::de::Error::missing_field($key)),
        }
    };
    (finish optional $slot:expr, $key:literal) => { $slot.flatten().map(Into::into) };
    (finish defaulted $slot:expr, $key:literal) => { $slot.flatten().map(Into::into).unwrap_or_default() };
    (finish nullable $slot:expr, $key:literal) => { $slot.map(Into::into) };

    (set defaulted $value:expr) => { $value };
    (set $optional:ident $value:expr) => { Some($value) };

    (write required $map:ident, $field:expr, $key:literal) => { $map.serialize_entry($key, $field)? };
    (write defaulted $map:ident, $field:expr, $key:literal) => { $map.serialize_entry($key, $field)? };
    (write $optional:ident $map:ident, $field:expr, $key:literal) => {
        if let Some(value) = $field {
            $map.serialize_entry($key, value)?;
        }
    };
}

/// The type that a member is read as.
macro_rules! wire_via {
    ($ty:ty) => {
        $ty
    };
    ($ty:ty as $via:ty) => {
        $via
    };
}

/// Declares an open enumeration of strings: values that are not listed survive in `Other`.
///
/// ```text
/// wire_enum! {
///     /// Docs.
///     pub enum Role {
///         /// Docs.
///         User = "user",
///     }
/// }
/// ```
macro_rules! wire_enum {
    (
        $(#[$attr:meta])*
        pub enum $name:ident {
            $($(#[$doc:meta])* $variant:ident = $text:literal,)*
        }
    ) => {
        $(#[$attr])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $variant,)*
            /// A value this revision of the crate does not know; it survives a round trip.
            ///
            /// `From` never makes this variant of a value that has its own.
            Other(::alloc::string::String),
        }

        impl $name {
            /// The value on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(other) => other,
                }
            }

            fn known(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::known(text).unwrap_or_else(|| Self::Other(text.into()))
            }
        }

        impl From<::alloc::string::String> for $name {
            fn from(text: ::alloc::string::String) -> Self {
                Self::known(&text).unwrap_or(Self::Other(text))
            }
        }

        impl ::core::fmt::Display for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::model::wire::Text::deserialize(deserializer).map(|text| match text.0 {
                    ::alloc::borrow::Cow::Borrowed(text) => Self::from(text),
                    ::alloc::borrow::Cow::Owned(text) => Self::from(text),
                })
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

/// Declares a union of objects that a member of type string tells apart; kinds that are not listed survive in `Other`.
///
/// Every payload is a `wire_struct!` with the same tag. If the tag is the first member, as peers mostly write it, the payload
/// decodes straight from the input; members that come before it are held until it is known.
///
/// ```text
/// wire_union! {
///     /// Docs.
///     pub enum ContentBlock by "type" {
///         /// Docs.
///         Text(TextContent) = "text",
///     }
/// }
/// ```
macro_rules! wire_union {
    (
        $(#[$attr:meta])*
        pub enum $name:ident by $tag:literal {
            $($(#[$doc:meta])* $variant:ident($payload:ty) = $kind:literal,)*
        }
    ) => {
        $(#[$attr])*
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $variant($payload),)*
            /// A kind this revision of the crate does not know; it survives a round trip.
            Other {
                #[doc = concat!("The value of `", $tag, "`.")]
                kind: ::alloc::string::String,
                #[doc = concat!("All members but `", $tag, "`.")]
                members: ::serde_json::Map<::alloc::string::String, ::serde_json::Value>,
            },
        }

        impl $name {
            #[doc = concat!("The value of `", $tag, "` on the wire.")]
            #[must_use]
            pub fn kind(&self) -> &str {
                match self {
                    $(Self::$variant(_) => $kind,)*
                    Self::Other { kind, .. } => kind,
                }
            }
        }

        $(
            impl From<$payload> for $name {
                fn from(payload: $payload) -> Self {
                    Self::$variant(payload)
                }
            }
        )*

        impl<'de> $crate::model::wire::Members<'de> for $name {
            const EXPECTING: &'static str = concat!("object ", stringify!($name));

            fn claims(key: &str) -> bool {
                key == $tag
            }

            fn read<A: ::serde::de::MapAccess<'de>>(map: A, _tag_read: bool) -> Result<Self, A::Error> {
                use $crate::model::wire::{Members, Replay, read_members};
                let (kind, replay) = Replay::up_to(map, $tag)?;
                match &*kind {
                    $($kind => <$payload as Members<'de>>::read(replay, true).map(Self::$variant),)*
                    _ => Ok(Self::Other { members: read_members(replay, $tag)?, kind: kind.into_owned() }),
                }
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_map($crate::model::wire::ObjectVisitor::new())
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use ::serde::ser::SerializeMap as _;
                match self {
                    $(Self::$variant(payload) => payload.serialize(serializer),)*
                    Self::Other { kind, members } => {
                        let mut map = serializer.serialize_map(None)?;
                        map.serialize_entry($tag, kind)?;
                        for (key, value) in members.iter().filter(|(key, _)| *key != $tag) {
                            map.serialize_entry(key, value)?;
                        }
                        map.end()
                    }
                }
            }
        }
    };
}

/// Declares a map whose keys the sender chooses. A key twice is an error; the order is that of the keys.
///
/// ```text
/// wire_map! {
///     /// Docs.
///     pub struct InputRequests of InputRequest;
/// }
/// ```
macro_rules! wire_map {
    ($(#[$attr:meta])* pub struct $name:ident of $value:ty;) => {
        $(#[$attr])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name(pub ::alloc::collections::BTreeMap<::alloc::string::String, $value>);

        impl $name {
            /// A map without entries.
            #[must_use]
            pub fn new() -> Self {
                Self::default()
            }
        }

        impl ::core::ops::Deref for $name {
            type Target = ::alloc::collections::BTreeMap<::alloc::string::String, $value>;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }

        impl ::core::ops::DerefMut for $name {
            fn deref_mut(&mut self) -> &mut Self::Target {
                &mut self.0
            }
        }

        impl IntoIterator for $name {
            type Item = (::alloc::string::String, $value);
            type IntoIter = ::alloc::collections::btree_map::IntoIter<::alloc::string::String, $value>;

            fn into_iter(self) -> Self::IntoIter {
                self.0.into_iter()
            }
        }

        impl<K: Into<::alloc::string::String>, V: Into<$value>> FromIterator<(K, V)> for $name {
            fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
                Self(entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
            }
        }

        impl<K: Into<::alloc::string::String>, V: Into<$value>, const N: usize> From<[(K, V); N]> for $name {
            fn from(entries: [(K, V); N]) -> Self {
                entries.into_iter().collect()
            }
        }

        impl From<::alloc::collections::BTreeMap<::alloc::string::String, $value>> for $name {
            fn from(entries: ::alloc::collections::BTreeMap<::alloc::string::String, $value>) -> Self {
                Self(entries)
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::model::wire::OnceMap::deserialize(deserializer).map(|map| Self(map.0))
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }
    };
}

pub(crate) use {wire_codec, wire_enum, wire_map, wire_member, wire_new, wire_struct, wire_union, wire_via};
