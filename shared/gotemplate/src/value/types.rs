//! Go's types, as far as templates can see them: for checks of arguments and for the texts of errors and `%T`.

use std::fmt;

/// Go's `reflect.Kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No value at all.
    Invalid,
    /// `bool`
    Bool,
    /// `int`
    Int,
    /// `int64`
    Int64,
    /// `uint8`
    Uint8,
    /// `uint32`
    Uint32,
    /// `uint64`
    Uint64,
    /// `float64`
    Float64,
    /// `complex128`
    Complex128,
    /// `string`
    String,
    /// A slice.
    Slice,
    /// A map.
    Map,
    /// A struct.
    Struct,
    /// A pointer.
    Ptr,
    /// An interface: only of a type, never of a value.
    Interface,
}

impl Kind {
    /// The name that `kindOf` gives.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Invalid => "invalid",
            Kind::Bool => "bool",
            Kind::Int => "int",
            Kind::Int64 => "int64",
            Kind::Uint8 => "uint8",
            Kind::Uint32 => "uint32",
            Kind::Uint64 => "uint64",
            Kind::Float64 => "float64",
            Kind::Complex128 => "complex128",
            Kind::String => "string",
            Kind::Slice => "slice",
            Kind::Map => "map",
            Kind::Struct => "struct",
            Kind::Ptr => "ptr",
            Kind::Interface => "interface",
        }
    }
}

/// A Go type: of a value, of a parameter, of the elements of a list or map.
#[derive(Clone, Copy, Debug)]
pub enum Type {
    /// `interface {}`: a parameter that takes anything; nil arrives as [`super::Value::Nil`].
    Any,
    /// `reflect.Value`: a parameter that takes anything and can tell an absent value from nil.
    Reflect,
    /// `bool`
    Bool,
    /// `int`
    Int,
    /// `int64`
    Int64,
    /// `uint8`
    Uint8,
    /// `uint32`
    Uint32,
    /// `uint64`
    Uint64,
    /// `float64`
    Float64,
    /// `complex128`
    Complex128,
    /// `string`
    String,
    /// `[]T`
    Slice(&'static Type),
    /// A map with string keys.
    Map(&'static MapType),
    /// Any other named type.
    Named(&'static NamedType),
}

/// A map type: `map[string]T` or a named type over it. Keys are always strings: no other map reaches a template.
#[derive(Debug)]
pub struct MapType {
    /// As Go prints it: `map[string]interface {}`, `common.Values`.
    pub name: &'static str,
    /// The type of the entries; a missing entry reads as its zero value.
    pub elem: Type,
    /// Whether the type has a name of its own. Unnamed and named types over the same map are assignable.
    pub named: bool,
    /// The methods, empty for all but named types.
    pub methods: &'static [super::object::MapMethod],
}

/// A type that is an [`super::Object`]: a struct, a pointer, a named number.
#[derive(Debug, PartialEq, Eq)]
pub struct NamedType {
    /// As Go prints it: `time.Time`, `*semver.Version`.
    pub name: &'static str,
    /// What it is made of.
    pub kind: Kind,
}

/// `map[string]interface {}`.
pub static ANY_MAP: MapType =
    MapType { name: "map[string]interface {}", elem: Type::Any, named: false, methods: &[] };
/// `map[string]string`.
pub static STRING_MAP: MapType =
    MapType { name: "map[string]string", elem: Type::String, named: false, methods: &[] };
/// `[]interface {}`.
pub static ANY_LIST: Type = Type::Slice(&Type::Any);

impl Type {
    /// `map[string]interface {}`.
    pub const MAP: Type = Type::Map(&ANY_MAP);
    /// `[]interface {}`.
    pub const LIST: Type = Type::Slice(&Type::Any);
    /// `[]string`.
    pub const STRINGS: Type = Type::Slice(&Type::String);
    /// `[]uint8`.
    pub const BYTES: Type = Type::Slice(&Type::Uint8);

    /// What the type is made of.
    pub fn kind(self) -> Kind {
        match self {
            Type::Any => Kind::Interface,
            Type::Reflect => Kind::Struct,
            Type::Bool => Kind::Bool,
            Type::Int => Kind::Int,
            Type::Int64 => Kind::Int64,
            Type::Uint8 => Kind::Uint8,
            Type::Uint32 => Kind::Uint32,
            Type::Uint64 => Kind::Uint64,
            Type::Float64 => Kind::Float64,
            Type::Complex128 => Kind::Complex128,
            Type::String => Kind::String,
            Type::Slice(_) => Kind::Slice,
            Type::Map(_) => Kind::Map,
            Type::Named(named) => named.kind,
        }
    }

    /// Whether nil is a value of the type.
    pub fn can_be_nil(self) -> bool {
        matches!(self, Type::Reflect)
            || matches!(self.kind(), Kind::Interface | Kind::Map | Kind::Slice | Kind::Ptr)
    }

    /// Whether a value of type `self` may be given where `to` is wanted, without any conversion.
    pub fn assignable_to(self, to: Type) -> bool {
        match (self, to) {
            (_, Type::Any | Type::Reflect) => true,
            (Type::Map(a), Type::Map(b)) => a == b || (!(a.named && b.named) && a.elem == b.elem),
            (a, b) => a == b,
        }
    }
}

impl PartialEq for MapType {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl PartialEq for Type {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Type::Slice(a), Type::Slice(b)) => a == b,
            (Type::Map(a), Type::Map(b)) => a == b,
            (Type::Named(a), Type::Named(b)) => a == b,
            (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
        }
    }
}

impl Eq for Type {}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Any => f.write_str("interface {}"),
            Type::Reflect => f.write_str("reflect.Value"),
            Type::Slice(elem) => write!(f, "[]{elem}"),
            Type::Map(map) => f.write_str(map.name),
            Type::Named(named) => f.write_str(named.name),
            basic => f.write_str(basic.kind().name()),
        }
    }
}
