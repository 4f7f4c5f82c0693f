//! Which JSON Schema a tool's schemas are written in; mirrors the specification's Basic page, JSON Schema Usage.

use alloc::string::{String, ToString};
use core::fmt;

use serde_json::{Map, Value};

use super::Tool;

/// A dialect of JSON Schema. Whoever derives something from a schema reads it in its own dialect, or not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is the dialect of that name")]
pub enum Dialect {
    Draft4,
    Draft6,
    Draft7,
    Draft2019_09,
    /// What a schema is written in that does not say.
    #[default]
    Draft2020_12,
}

impl Dialect {
    /// Every dialect that is known here, oldest first.
    pub const ALL: [Self; 5] = [Self::Draft4, Self::Draft6, Self::Draft7, Self::Draft2019_09, Self::Draft2020_12];

    /// What `$schema` says of it.
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Draft4 => "http://json-schema.org/draft-04/schema#",
            Self::Draft6 => "http://json-schema.org/draft-06/schema#",
            Self::Draft7 => "http://json-schema.org/draft-07/schema#",
            Self::Draft2019_09 => "https://json-schema.org/draft/2019-09/schema",
            Self::Draft2020_12 => "https://json-schema.org/draft/2020-12/schema",
        }
    }

    /// The dialect of a schema: the one that its `$schema` names, 2020-12 if there is none.
    ///
    /// ```
    /// use mcp_proto::model::Dialect;
    /// use serde_json::{Map, json};
    ///
    /// assert_eq!(Dialect::of(&Map::new())?, Dialect::Draft2020_12);
    /// let strange = Map::from_iter([("$schema".to_owned(), json!("https://example.com/my-own"))]);
    /// assert!(Dialect::of(&strange).unwrap_err().to_string().contains("my-own"));
    /// # Ok::<(), mcp_proto::model::UnknownDialect>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When it names one that is not known here.
    pub fn of(schema: &Map<String, Value>) -> Result<Self, UnknownDialect> {
        let named = match schema.get("$schema") {
            None => return Ok(Self::default()),
            Some(Value::String(named)) => named,
            Some(other) => return Err(UnknownDialect(other.to_string())),
        };
        // With and without an empty fragment, and by either scheme: all of these are written.
        let bare = |uri: &str| {
            let uri = uri.trim_end_matches('#');
            uri.strip_prefix("https://").or(uri.strip_prefix("http://")).map(ToString::to_string)
        };
        let named_bare = bare(named).ok_or_else(|| UnknownDialect(named.clone()))?;
        let known = Self::ALL.into_iter().find(|dialect| bare(dialect.uri()).as_ref() == Some(&named_bare));
        known.ok_or_else(|| UnknownDialect(named.clone()))
    }
}

impl Tool {
    /// The dialect of the arguments' schema.
    ///
    /// # Errors
    ///
    /// When it is not known here: then nothing may be derived from the schema.
    pub fn input_dialect(&self) -> Result<Dialect, UnknownDialect> {
        Dialect::of(&self.input_schema)
    }

    /// The dialect of the structured content's schema, if there is one.
    ///
    /// # Errors
    ///
    /// As with [`input_dialect`](Self::input_dialect).
    pub fn output_dialect(&self) -> Result<Option<Dialect>, UnknownDialect> {
        self.output_schema.as_ref().map(Dialect::of).transpose()
    }
}

/// A schema is written in a dialect that is not known here: what its `$schema` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownDialect(pub String);

impl fmt::Display for UnknownDialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let newest = Dialect::default().uri();
        write!(f, "the JSON Schema dialect {:.200} is not supported; write {newest}", self.0)
    }
}

impl core::error::Error for UnknownDialect {}
