//! A document as it was written: scalars keep their text and quotes, maps keep their order.

use serde_json::{Map, Number, Value};

use crate::{Schema, resolve, timestamp};

/// What a scalar means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tag {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`, in the spellings of the schema.
    Bool,
    /// A decimal, hexadecimal, octal or binary integer.
    Int,
    /// A floating point number.
    Float,
    /// A date or a point in time.
    Timestamp,
    /// Text.
    Str,
}

impl Tag {
    /// The tag as Go's messages show it: `!!str`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "!!null",
            Self::Bool => "!!bool",
            Self::Int => "!!int",
            Self::Float => "!!float",
            Self::Timestamp => "!!timestamp",
            Self::Str => "!!str",
        }
    }
}

/// How a scalar is quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Style {
    /// Without quotes.
    #[default]
    Plain,
    /// Without quotes, inside `{}` or `[]`. kustomize writes nodes out and reads them again in between; there, a plain
    /// scalar that flow style cannot hold gets quotes: an empty one becomes a text, and so does a point in time.
    Flow,
    /// In quotes or as a block: text, whatever it looks like.
    Quoted,
}

/// A scalar: its text, what it means and whether it was quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// The text, without quotes and escapes.
    pub text: String,
    /// What it means.
    pub tag: Tag,
    /// Whether it was quoted.
    pub style: Style,
}

impl Scalar {
    /// A text that is written without quotes where possible.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), tag: Tag::Str, style: Style::Plain }
    }

    /// The scalar that a plain text stands for, by the rules of kustomize's reader.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        let text = text.into();
        let tag = resolve::classify(&text, Schema::Manifest);
        Self { text, tag, style: Style::Plain }
    }

    /// The JSON value of this scalar.
    ///
    /// # Errors
    /// The reason in Go's words if the text does not fit the tag or has no JSON form (`.inf`).
    pub fn to_value(&self) -> Result<Value, String> {
        if self.style == Style::Flow
            && (self.tag == Tag::Null && self.text.is_empty()
                || self.tag == Tag::Timestamp && self.text.contains(':'))
        {
            return Ok(Value::String(self.text.clone()));
        }
        let undecodable = || format!("cannot decode !!str `{}` as a {}", self.text, self.tag.name());
        Ok(match self.tag {
            Tag::Null => Value::Null,
            Tag::Str => Value::String(self.text.clone()),
            Tag::Bool => Value::Bool(resolve::bool_of(&self.text).ok_or_else(undecodable)?),
            Tag::Int | Tag::Float => resolve::number_of(&self.text)
                .ok_or_else(undecodable)?
                .map(Value::Number)
                .map_err(str::to_owned)?,
            Tag::Timestamp => {
                Value::String(timestamp::to_rfc3339(&self.text).unwrap_or_else(|| self.text.clone()))
            }
        })
    }
}

/// Standard base64, white space ignored.
pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    let compact: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    base64::engine::general_purpose::STANDARD.decode(compact).ok()
}

/// A map: pairs in the order in which they were written, keys unique.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mapping(Vec<(String, Node)>);

impl Mapping {
    /// An empty map.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    /// The value of `key`, to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.0.iter_mut().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    /// Whether `key` is present.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Sets `key`, in its old place if it is present, else at the end.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<Node>) {
        let key = key.into();
        match self.get_mut(&key) {
            Some(old) => *old = value.into(),
            None => self.0.push((key, value.into())),
        }
    }

    /// Appends a pair whose key the caller knows to be new.
    pub(crate) fn push(&mut self, key: String, value: Node) {
        self.0.push((key, value));
    }

    /// Removes `key` and returns its value.
    pub fn remove(&mut self, key: &str) -> Option<Node> {
        let at = self.0.iter().position(|(k, _)| k == key)?;
        Some(self.0.remove(at).1)
    }

    /// The value of `key`, which is made by `default` if absent.
    pub fn get_or_insert_with(&mut self, key: &str, default: impl FnOnce() -> Node) -> &mut Node {
        let at = self.0.iter().position(|(k, _)| k == key).unwrap_or_else(|| {
            self.0.push((key.to_owned(), default()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }

    /// The number of pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no pairs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The pairs in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Node)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v))
    }

    /// The pairs in order, to change the values.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&str, &mut Node)> {
        self.0.iter_mut().map(|(k, v)| (k.as_str(), v))
    }

    /// Keeps the pairs for which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &mut Node) -> bool) {
        self.0.retain_mut(|(k, v)| keep(k, v));
    }
}

impl IntoIterator for Mapping {
    type Item = (String, Node);
    type IntoIter = std::vec::IntoIter<(String, Node)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromIterator<(String, Node)> for Mapping {
    fn from_iter<I: IntoIterator<Item = (String, Node)>>(pairs: I) -> Self {
        let mut map = Self::new();
        for (key, value) in pairs {
            map.insert(key, value);
        }
        map
    }
}

/// A document or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A scalar; null is one, too.
    Scalar(Scalar),
    /// A list.
    Seq(Vec<Node>),
    /// A map.
    Map(Mapping),
}

impl Node {
    /// The null scalar.
    #[must_use]
    pub fn null() -> Self {
        Self::Scalar(Scalar { text: "null".into(), tag: Tag::Null, style: Style::Plain })
    }

    /// An empty map.
    #[must_use]
    pub fn map() -> Self {
        Self::Map(Mapping::new())
    }

    /// A text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Scalar(Scalar::text(text))
    }

    /// Whether this is the null scalar.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Scalar(Scalar { tag: Tag::Null, .. }))
    }

    /// The map, if this is one.
    #[must_use]
    pub fn as_map(&self) -> Option<&Mapping> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }

    /// The map, if this is one, to change it.
    pub fn as_map_mut(&mut self) -> Option<&mut Mapping> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }

    /// The list, if this is one.
    #[must_use]
    pub fn as_seq(&self) -> Option<&[Node]> {
        if let Self::Seq(items) = self { Some(items) } else { None }
    }

    /// The text of a scalar that is not null: `12` for the integer, too.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Scalar(scalar) if scalar.tag != Tag::Null => Some(&scalar.text),
            _ => None,
        }
    }

    /// The value of `key`, if this is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.get(key)
    }

    /// The node at the end of `path`, through maps only.
    #[must_use]
    pub fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The JSON value.
    ///
    /// # Errors
    /// The reason in Go's words, for the first scalar that has no JSON form.
    pub fn to_value(&self) -> Result<Value, String> {
        Ok(match self {
            Self::Scalar(scalar) => scalar.to_value()?,
            Self::Seq(items) => Value::Array(items.iter().map(Self::to_value).collect::<Result<_, _>>()?),
            Self::Map(map) => Value::Object(
                map.iter().map(|(k, v)| Ok((k.to_owned(), v.to_value()?))).collect::<Result<_, String>>()?,
            ),
        })
    }

    /// The JSON value, as kustomize has it; texts move and are not copied.
    ///
    /// # Errors
    /// As [`Node::to_value`].
    pub fn into_value(self) -> Result<Value, String> {
        self.into_value_by(Schema::Manifest)
    }

    /// The JSON value of a node that was read by `schema`: YAML 1.1 readers leave dates as written.
    ///
    /// # Errors
    /// As [`Node::to_value`].
    pub fn into_value_by(self, schema: Schema) -> Result<Value, String> {
        Ok(match self {
            Self::Scalar(Scalar { text, tag: Tag::Str, .. }) => Value::String(text),
            Self::Scalar(Scalar { text, tag: Tag::Timestamp, .. }) if schema == Schema::Yaml11 => {
                Value::String(text)
            }
            Self::Scalar(scalar) => scalar.to_value()?,
            Self::Seq(items) => Value::Array(
                items.into_iter().map(|item| item.into_value_by(schema)).collect::<Result<_, _>>()?,
            ),
            Self::Map(map) => {
                let pairs = map.into_iter().map(|(k, v)| Ok((k, v.into_value_by(schema)?)));
                Value::Object(pairs.collect::<Result<Map<_, _>, String>>()?)
            }
        })
    }
}

impl From<Scalar> for Node {
    fn from(scalar: Scalar) -> Self {
        Self::Scalar(scalar)
    }
}

impl From<Mapping> for Node {
    fn from(map: Mapping) -> Self {
        Self::Map(map)
    }
}

impl From<Vec<Node>> for Node {
    fn from(items: Vec<Node>) -> Self {
        Self::Seq(items)
    }
}

impl From<Number> for Node {
    fn from(number: Number) -> Self {
        let tag = if number.is_f64() { Tag::Float } else { Tag::Int };
        let text = match number.as_f64() {
            Some(float) if number.is_f64() => resolve::format_float(float),
            _ => number.to_string(),
        };
        Self::Scalar(Scalar { text, tag, style: Style::Plain })
    }
}

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::null(),
            Value::Bool(yes) => {
                Self::Scalar(Scalar { text: yes.to_string(), tag: Tag::Bool, style: Style::Plain })
            }
            Value::Number(number) => number.into(),
            Value::String(text) => Self::text(text),
            Value::Array(items) => Self::Seq(items.into_iter().map(Self::from).collect()),
            Value::Object(map) => Self::Map(map.into_iter().map(|(k, v)| (k, v.into())).collect()),
        }
    }
}
