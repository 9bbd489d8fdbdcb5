//! The parts that schemas are made of.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

/// The place of a node in its [`Table`].
pub(crate) type NodeId = u32;

/// The nodes of one or many schemas; shared subtrees are there once.
#[derive(Debug, Default)]
pub(crate) struct Table {
    nodes: Vec<Node>,
}

impl Table {
    pub(super) fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        (self.nodes.len() - 1) as NodeId
    }

    pub(super) fn set(&mut self, id: NodeId, node: Node) {
        self.nodes[id as usize] = node;
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }
}

/// The JSON type of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Anything.
    #[default]
    Any,
    /// A map, declared or free.
    Object,
    /// A list.
    Array,
    /// A text.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// A whole number or a text.
    IntOrString,
    /// A resource quantity: a number or a text such as `100m`.
    Quantity,
}

impl Kind {
    /// The name that OpenAPI gives to the type; empty where there is none.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Any | Self::IntOrString | Self::Quantity => "",
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }
}

/// The formats that mean something to decoding or validation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// 32 bits.
    Int32,
    /// 64 bits.
    Int64,
    /// Base64.
    Byte,
    /// RFC 3339.
    DateTime,
    /// `YYYY-MM-DD`.
    Date,
    /// A duration such as Go's `1h30m`.
    Duration,
    /// An absolute URI.
    Uri,
    /// An e-mail address.
    Email,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// An address with a prefix length.
    Cidr,
    /// A MAC address.
    Mac,
    /// A UUID of any version.
    Uuid,
    /// A host name.
    Hostname,
}

impl Format {
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "int32" => Self::Int32,
            "int64" => Self::Int64,
            "byte" => Self::Byte,
            "date-time" => Self::DateTime,
            "date" => Self::Date,
            "duration" => Self::Duration,
            "uri" => Self::Uri,
            "email" => Self::Email,
            "ipv4" => Self::Ipv4,
            "ipv6" => Self::Ipv6,
            "cidr" => Self::Cidr,
            "mac" => Self::Mac,
            "uuid" | "uuid3" | "uuid4" | "uuid5" => Self::Uuid,
            "hostname" => Self::Hostname,
            _ => return None,
        })
    }

    /// The name that OpenAPI gives to the format.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Byte => "byte",
            Self::DateTime => "date-time",
            Self::Date => "date",
            Self::Duration => "duration",
            Self::Uri => "uri",
            Self::Email => "email",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Cidr => "cidr",
            Self::Mac => "mac",
            Self::Uuid => "uuid",
            Self::Hostname => "hostname",
        }
    }
}

/// Who owns what in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ListType {
    /// One owner for the list.
    #[default]
    Atomic,
    /// One owner per value.
    Set,
    /// One owner per item, found by these keys.
    Map(Box<[Box<str>]>),
}

/// What is allowed under keys that are not declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Extra {
    /// Nothing.
    #[default]
    No,
    /// Anything.
    Any,
    /// Values of this schema.
    Typed(NodeId),
}

/// One node of a schema.
#[derive(Debug, Default)]
pub(crate) struct Node {
    /// The node that describes the value; this one then only has what belongs to the place: default, patch strategy.
    pub(super) reference: Option<NodeId>,
    /// The name of the Go struct behind it, for built-in kinds.
    pub(crate) name: Option<Box<str>>,
    pub(crate) kind: Kind,
    pub(crate) format: Option<Format>,
    pub(super) properties: BTreeMap<Box<str>, NodeId>,
    pub(crate) additional: Extra,
    pub(super) items: Option<NodeId>,
    pub(crate) required: Box<[Box<str>]>,
    pub(super) default: Option<Value>,
    pub(crate) list_type: ListType,
    pub(super) atomic_map: Option<bool>,
    pub(super) patch_strategy: Box<[Box<str>]>,
    pub(super) patch_merge_key: Option<Box<str>>,
    pub(crate) preserve_unknown: bool,
    pub(crate) embedded: bool,
    pub(crate) nullable: bool,
    /// Absent for built-in kinds, whose rules are code.
    pub(crate) rules: Option<Box<Rules>>,
}

/// What a custom resource's schema demands of a value beyond its type.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    pub(crate) allowed: Box<[Value]>,
    pub(crate) pattern: Option<Regex>,
    pub(crate) bounds: Bounds,
    pub(crate) unique_items: bool,
    pub(crate) combinators: Box<[Combinator]>,
    /// `x-kubernetes-validations`, compiled. Boxed: it is large and most nodes have none.
    pub(crate) cel: Option<Box<kube_cel::CompiledSchema>>,
}

/// Limits of sizes and numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Bounds {
    pub(crate) minimum: Option<f64>,
    pub(crate) exclusive_minimum: bool,
    pub(crate) maximum: Option<f64>,
    pub(crate) exclusive_maximum: bool,
    pub(crate) multiple_of: Option<f64>,
    pub(crate) min_length: Option<u64>,
    pub(crate) max_length: Option<u64>,
    pub(crate) min_items: Option<u64>,
    pub(crate) max_items: Option<u64>,
    pub(crate) min_properties: Option<u64>,
    pub(crate) max_properties: Option<u64>,
}

/// A rule made of other schemas.
#[derive(Debug)]
pub(crate) enum Combinator {
    /// Every one of these.
    AllOf(Box<[NodeId]>),
    /// At least one of these.
    AnyOf(Box<[NodeId]>),
    /// Exactly one of these.
    OneOf(Box<[NodeId]>),
    /// Not this.
    Not(NodeId),
}
