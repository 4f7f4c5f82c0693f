//! The forms that a user fills in; mirrors the schemas of the specification's Elicitation page.
//!
//! A form is flat: a string, a number, a boolean, or a choice of strings, in one of five shapes that the wire knows.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Number, Value};

use super::ProtocolVersion;
use super::revisions::Union;
use super::wire::{Integer, wire_enum, wire_map, wire_struct};

wire_struct! {
    /// The JSON Schema of a form.
    #[derive(Default)]
    pub struct FormSchema tagged "type" = "object" {
        /// The dialect of JSON Schema (2025-11-25 and later).
        optional(with_schema) schema: String = "$schema",
        /// The fields, by name.
        defaulted(with_properties) properties: FormProperties = "properties",
        /// The names of the fields that must be filled in.
        optional(with_required) required: Vec<String> = "required",
    }
}

wire_map! {
    /// The fields of a form, by name.
    pub struct FormProperties of PrimitiveSchema;
}

impl FormSchema {
    /// The same form, with a field that must be filled in.
    #[must_use]
    pub fn required_property(mut self, name: impl Into<String>, schema: impl Into<PrimitiveSchema>) -> Self {
        let name = name.into();
        self.required.get_or_insert_default().push(name.clone());
        self.optional_property(name, schema)
    }

    /// The same form, with a field that may be left out.
    #[must_use]
    pub fn optional_property(mut self, name: impl Into<String>, schema: impl Into<PrimitiveSchema>) -> Self {
        self.properties.insert(name.into(), schema.into());
        self
    }

    /// The first field that clients of this revision cannot know how to show, if there is one.
    #[must_use]
    pub fn unknown_in(&self, version: ProtocolVersion) -> Option<&str> {
        let unknown = |schema: &PrimitiveSchema| {
            schema.form().is_some_and(|form| version.has_variant(Union::Form, form) == Some(false))
        };
        self.properties.iter().find(|(_, schema)| unknown(schema)).map(|(name, _)| name.as_str())
    }
}

impl From<FormSchema> for Map<String, Value> {
    fn from(form: FormSchema) -> Self {
        match serde_json::to_value(form) {
            Ok(Value::Object(schema)) => schema,
            // A form is an object of strings, numbers, booleans and arrays of strings: it encodes.
            _ => Self::new(),
        }
    }
}

/// The JSON Schema of one field of a form. The members tell which it is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PrimitiveSchema {
    /// A string.
    String(StringSchema),
    /// A number.
    Number(NumberSchema),
    /// Yes or no.
    Boolean(BooleanSchema),
    /// One of several strings.
    SingleSelect(UntitledSingleSelectEnumSchema),
    /// One of several strings that have names for people (2025-11-25 and later).
    TitledSingleSelect(TitledSingleSelectEnumSchema),
    /// Some of several strings (2025-11-25 and later).
    MultiSelect(UntitledMultiSelectEnumSchema),
    /// Some of several strings that have names for people (2025-11-25 and later).
    TitledMultiSelect(TitledMultiSelectEnumSchema),
    /// One of several strings that have names for people, as 2025-06-18 writes it.
    LegacyTitled(LegacyTitledEnumSchema),
    /// A schema of a kind that no form may have, as the peer wrote it; it survives a round trip.
    Other(Map<String, Value>),
}

impl PrimitiveSchema {
    /// The shape, as [`VARIANTS`](super::VARIANTS) names it; `None` for one that no form may have.
    #[must_use]
    pub fn form(&self) -> Option<&str> {
        Some(match self {
            Self::String(_) => "string",
            Self::Number(schema) => schema.kind.as_str(),
            Self::Boolean(_) => "boolean",
            Self::SingleSelect(_) => "enum",
            Self::TitledSingleSelect(_) => "oneOf",
            Self::MultiSelect(_) => "items.enum",
            Self::TitledMultiSelect(_) => "items.anyOf",
            Self::LegacyTitled(_) => "enumNames",
            Self::Other(_) => return None,
        })
    }
}

/// One variant for each payload.
macro_rules! from_payload {
    ($($variant:ident($payload:ident))*) => {
        $(
            impl From<$payload> for PrimitiveSchema {
                fn from(schema: $payload) -> Self {
                    Self::$variant(schema)
                }
            }
        )*

        impl Serialize for PrimitiveSchema {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$variant(schema) => schema.serialize(serializer),)*
                    Self::Other(members) => members.serialize(serializer),
                }
            }
        }
    };
}

from_payload! {
    String(StringSchema)
    Number(NumberSchema)
    Boolean(BooleanSchema)
    SingleSelect(UntitledSingleSelectEnumSchema)
    TitledSingleSelect(TitledSingleSelectEnumSchema)
    MultiSelect(UntitledMultiSelectEnumSchema)
    TitledMultiSelect(TitledMultiSelectEnumSchema)
    LegacyTitled(LegacyTitledEnumSchema)
}

impl<'de> Deserialize<'de> for PrimitiveSchema {
    /// The shapes are told apart by their keys, in any order, so the members are held until all are there. Forms are small.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fn read<T: for<'a> Deserialize<'a> + Into<PrimitiveSchema>>(
            members: Map<String, Value>,
        ) -> Result<PrimitiveSchema, serde_json::Error> {
            T::deserialize(Value::Object(members)).map(Into::into)
        }
        let members = Map::deserialize(deserializer)?;
        let in_items = |key| members.get("items").is_some_and(|items| items.get(key).is_some());
        let read = match members.get("type").and_then(Value::as_str) {
            Some("string") if members.contains_key("oneOf") => read::<TitledSingleSelectEnumSchema>,
            Some("string") if members.contains_key("enumNames") => read::<LegacyTitledEnumSchema>,
            Some("string") if members.contains_key("enum") => read::<UntitledSingleSelectEnumSchema>,
            Some("string") => read::<StringSchema>,
            Some("number" | "integer") => read::<NumberSchema>,
            Some("boolean") => read::<BooleanSchema>,
            Some("array") if in_items("anyOf") => read::<TitledMultiSelectEnumSchema>,
            Some("array") if in_items("enum") => read::<UntitledMultiSelectEnumSchema>,
            _ => return Ok(Self::Other(members)),
        };
        read(members).map_err(D::Error::custom)
    }
}

wire_struct! {
    /// A field for a string.
    #[derive(Default)]
    pub struct StringSchema tagged "type" = "string" {
        /// The name for people.
        optional(with_title) title: String = "title",
        /// What the field is for.
        optional(with_description) description: String = "description",
        /// The least length, in characters.
        optional(with_min_length) min_length: i64 as Integer = "minLength",
        /// The greatest length, in characters.
        optional(with_max_length) max_length: i64 as Integer = "maxLength",
        /// What the string must look like.
        optional(with_format) format: StringFormat = "format",
        /// The value to begin with (2025-11-25 and later).
        optional(with_default) default: String = "default",
    }
}

wire_enum! {
    /// What a string must look like.
    pub enum StringFormat {
        /// An address of electronic mail.
        Email = "email",
        /// A URI.
        Uri = "uri",
        /// A date, in ISO 8601.
        Date = "date",
        /// A date and a time, in ISO 8601.
        DateTime = "date-time",
    }
}

wire_struct! {
    /// A field for a number.
    pub struct NumberSchema {
        /// Whether fractions are wanted.
        required kind: NumberKind = "type",
        /// The name for people.
        optional(with_title) title: String = "title",
        /// What the field is for.
        optional(with_description) description: String = "description",
        /// The least value.
        optional(with_minimum) minimum: Number = "minimum",
        /// The greatest value.
        optional(with_maximum) maximum: Number = "maximum",
        /// The value to begin with (2025-11-25 and later).
        optional(with_default) default: Number = "default",
    }
}

impl NumberSchema {
    /// A field for any number.
    #[must_use]
    pub fn number() -> Self {
        Self::new(NumberKind::Number)
    }

    /// A field for an integer.
    #[must_use]
    pub fn integer() -> Self {
        Self::new(NumberKind::Integer)
    }
}

wire_enum! {
    /// Whether fractions are wanted.
    pub enum NumberKind {
        /// They may be given.
        Number = "number",
        /// They may not.
        Integer = "integer",
    }
}

wire_struct! {
    /// A field for yes or no.
    #[derive(Default)]
    pub struct BooleanSchema tagged "type" = "boolean" {
        /// The name for people.
        optional(with_title) title: String = "title",
        /// What the field is for.
        optional(with_description) description: String = "description",
        /// The value to begin with.
        optional(with_default) default: bool = "default",
    }
}

wire_struct! {
    /// A field for one of several strings.
    pub struct UntitledSingleSelectEnumSchema tagged "type" = "string" {
        /// The strings.
        required values: Vec<String> = "enum",
        /// The name for people.
        optional(with_title) title: String = "title",
        /// What the field is for.
        optional(with_description) description: String = "description",
        /// The string to begin with (2025-11-25 and later).
        optional(with_default) default: String = "default",
    }
}

wire_struct! {
    /// A field for one of several strings that have names for people (2025-11-25 and later).
    pub struct TitledSingleSelectEnumSchema tagged "type" = "string" {
        /// The strings.
        required options: Vec<EnumOption> = "oneOf",
        /// The name for people.
        optional(with_title) title: String = "title",
        /// What the field is for.
        optional(with_description) description: String = "description",
        /// The string to begin with.
        optional(with_default) default: String = "default",
    }
}

wire_struct! {
    /// A string that can be chosen, with its name for people.
    pub struct EnumOption {
        /// The string.
        required value: String = "const",
        /// Its name for people.
        required title: String = "title",
    }
}

wire_struct! {
    /// A field for some of several strings (2025-11-25 and later).
    pub struct UntitledMultiSelectEnumSchema tagged "type" = "array" {
        /// The strings.
        required items: UntitledItems = "items",
        /// The name for people.
        optional(with_title) title: String = "title",
        /// What the field is for.
        optional(with_description) description: String = "description",
        /// How many must be chosen at least.
        optional(with_min_items) min_items: i64 as Integer = "minItems",
        /// How many may be chosen at most.
        optional(with_max_items) max_items: i64 as Integer = "maxItems",
        /// The strings to begin with.
        optional(with_default) default: Vec<String> = "default",
    }
}

impl UntitledMultiSelectEnumSchema {
    /// Some of these.
    #[must_use]
    pub fn of(values: impl Into<Vec<String>>) -> Self {
        Self::new(UntitledItems::new(values))
    }
}

wire_struct! {
    /// The strings of which some can be chosen.
    pub struct UntitledItems tagged "type" = "string" {
        /// The strings.
        required values: Vec<String> = "enum",
    }
}

wire_struct! {
    /// A field for some of several strings that have names for people (2025-11-25 and later).
    pub struct TitledMultiSelectEnumSchema tagged "type" = "array" {
        /// The strings.
        required items: TitledItems = "items",
        /// The name for people.
        optional(with_title) title: String = "title",
        /// What the field is for.
        optional(with_description) description: String = "description",
        /// How many must be chosen at least.
        optional(with_min_items) min_items: i64 as Integer = "minItems",
        /// How many may be chosen at most.
        optional(with_max_items) max_items: i64 as Integer = "maxItems",
        /// The strings to begin with.
        optional(with_default) default: Vec<String> = "default",
    }
}

impl TitledMultiSelectEnumSchema {
    /// Some of these.
    #[must_use]
    pub fn of(options: impl Into<Vec<EnumOption>>) -> Self {
        Self::new(TitledItems::new(options))
    }
}

wire_struct! {
    /// The strings of which some can be chosen, with their names for people.
    pub struct TitledItems {
        /// The strings.
        required options: Vec<EnumOption> = "anyOf",
    }
}

wire_struct! {
    /// A field for one of several strings that have names for people, as 2025-06-18 writes it; later revisions still read it.
    pub struct LegacyTitledEnumSchema tagged "type" = "string" {
        /// The strings.
        required values: Vec<String> = "enum",
        /// Their names for people, in the same order.
        required names: Vec<String> = "enumNames",
        /// The name of the field for people.
        optional(with_title) title: String = "title",
        /// What the field is for.
        optional(with_description) description: String = "description",
        /// The string to begin with (2025-11-25 and later).
        optional(with_default) default: String = "default",
    }
}
