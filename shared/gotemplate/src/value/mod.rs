//! The values of templates: Go's, kept apart as finely as a template can tell.
//!
//! A value belongs to one render (it is `Rc`-based and not `Send`), a compiled template does not.

mod json;
mod list;
mod map;
pub mod object;
mod text;
mod types;

use std::{fmt, rc::Rc};

pub use json::Numbers;
pub use list::List;
pub use map::Map;
pub(crate) use map::WeakMap;
pub use object::{Field, MapMethod, Object};
pub use text::Str;
pub use types::{ANY_LIST, ANY_MAP, Kind, MapType, NamedType, STRING_MAP, Type};

/// A value as a template sees it.
#[derive(Clone, Default)]
pub enum Value {
    /// No value at all (Go's zero `reflect.Value`): what a nil becomes when it leaves a pipeline. Field access on it
    /// gives it again; a function sees it only through a parameter of [`Type::Reflect`].
    #[default]
    Absent,
    /// A nil `interface {}`: an entry or element that is null or missing, or a nil argument. Field access fails.
    Nil,
    /// `bool`
    Bool(bool),
    /// `int`: literals, `len`, indexes.
    Int(i64),
    /// `int64`: arithmetic functions, `--set`.
    Int64(i64),
    /// `uint8`: a byte of a string or of bytes.
    Uint8(u8),
    /// `uint32`
    Uint32(u32),
    /// `uint64`
    Uint64(u64),
    /// `float64`: every number from YAML or JSON.
    Float(f64),
    /// `complex128`
    Complex(f64, f64),
    /// `string`
    String(Str),
    /// `[]uint8`
    Bytes(Str),
    /// Any other slice.
    List(List),
    /// A map with string keys.
    Map(Map),
    /// A struct, pointer or named type.
    Object(Rc<dyn Object>),
}

impl Value {
    /// A string.
    pub fn string(text: impl Into<Str>) -> Self {
        Value::String(text.into())
    }

    /// A `[]interface {}`.
    pub fn list(items: Vec<Value>) -> Self {
        Value::List(List::new(items))
    }

    /// An object.
    pub fn object(object: impl Object + 'static) -> Self {
        Value::Object(Rc::new(object))
    }

    /// Its Go type, None for nil and for no value.
    pub fn go_type(&self) -> Option<Type> {
        Some(match self {
            Value::Absent | Value::Nil => return None,
            Value::Bool(_) => Type::Bool,
            Value::Int(_) => Type::Int,
            Value::Int64(_) => Type::Int64,
            Value::Uint8(_) => Type::Uint8,
            Value::Uint32(_) => Type::Uint32,
            Value::Uint64(_) => Type::Uint64,
            Value::Float(_) => Type::Float64,
            Value::Complex(..) => Type::Complex128,
            Value::String(_) => Type::String,
            Value::Bytes(_) => Type::BYTES,
            Value::List(list) => list.go_type(),
            Value::Map(map) => Type::Map(map.map_type()),
            Value::Object(object) => Type::Named(object.go_type()),
        })
    }

    /// The name of its type as `%T` and `typeOf` print it: `<nil>` for nil.
    pub fn type_name(&self) -> String {
        self.go_type().map_or_else(|| "<nil>".to_owned(), |t| t.to_string())
    }

    /// Its kind as `kindOf` prints it.
    pub fn kind(&self) -> Kind {
        self.go_type().map_or(Kind::Invalid, Type::kind)
    }

    /// Whether it is nil or no value.
    pub fn is_nil(&self) -> bool {
        matches!(self, Value::Absent | Value::Nil)
    }

    /// Go templates' truth: false are nil, `false`, zero, and whatever is empty.
    pub fn truth(&self) -> bool {
        match self {
            Value::Absent | Value::Nil => false,
            Value::Bool(b) => *b,
            Value::Int(n) | Value::Int64(n) => *n != 0,
            Value::Uint8(n) => *n != 0,
            Value::Uint32(n) => *n != 0,
            Value::Uint64(n) => *n != 0,
            Value::Float(x) => *x != 0.0,
            Value::Complex(re, im) => *re != 0.0 || *im != 0.0,
            Value::String(s) | Value::Bytes(s) => !s.is_empty(),
            Value::List(list) => !list.is_empty(),
            Value::Map(map) => !map.is_empty(),
            Value::Object(object) => object.underlying().is_none_or(|value| value.truth()),
        }
    }

    /// The zero value of a type: what a missing entry of a map reads as.
    pub fn zero(of: Type) -> Value {
        match of {
            Type::Any | Type::Reflect | Type::Named(_) => Value::Nil,
            Type::Bool => Value::Bool(false),
            Type::Int => Value::Int(0),
            Type::Int64 => Value::Int64(0),
            Type::Uint8 => Value::Uint8(0),
            Type::Uint32 => Value::Uint32(0),
            Type::Uint64 => Value::Uint64(0),
            Type::Float64 => Value::Float(0.0),
            Type::Complex128 => Value::Complex(0.0, 0.0),
            Type::String => Value::String(Str::default()),
            Type::Slice(&Type::Uint8) => Value::Bytes(Str::default()),
            Type::Slice(elem) => Value::List(List::nil(*elem)),
            Type::Map(map) => Value::Map(Map::nil(map)),
        }
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&Str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::String(text) => write!(f, "{text:?}"),
            Value::List(list) => write!(f, "{} of {}", self.type_name(), list.len()),
            Value::Map(map) => write!(f, "{} of {}", self.type_name(), map.len()),
            Value::Object(object) => write!(f, "{object:?}"),
            Value::Bool(b) => write!(f, "{b}"),
            Value::Int(n) | Value::Int64(n) => write!(f, "{n}"),
            Value::Float(x) => write!(f, "{x:?}"),
            other => f.write_str(&other.type_name()),
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::string(value)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Value::string(value)
    }
}

impl From<Str> for Value {
    fn from(value: Str) -> Self {
        Value::String(value)
    }
}

impl From<List> for Value {
    fn from(value: List) -> Self {
        Value::List(value)
    }
}

impl From<Map> for Value {
    fn from(value: Map) -> Self {
        Value::Map(value)
    }
}

/// Drops values without recursion: what a container held alone is put on a heap and taken apart there.
fn bury(values: impl Iterator<Item = Value>) {
    let mut graves: Vec<Value> = Vec::new();
    let keep = |value: Value, graves: &mut Vec<Value>| {
        if matches!(value, Value::List(_) | Value::Map(_)) {
            graves.push(value);
        }
    };
    for value in values {
        keep(value, &mut graves);
    }
    while let Some(value) = graves.pop() {
        match value {
            Value::List(list) => {
                for item in list.into_items().into_iter().flatten() {
                    keep(item, &mut graves);
                }
            }
            Value::Map(map) => {
                for (_, item) in map.into_entries().into_iter().flatten() {
                    keep(item, &mut graves);
                }
            }
            _ => {}
        }
    }
}
