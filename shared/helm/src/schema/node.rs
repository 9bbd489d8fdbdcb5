//! A compiled schema: one [`Node`] per schema object, with references as indexes.

use std::collections::BTreeMap;

use serde_json::{Number, Value};
use sluice_gotemplate::functions::regexp::Regexp;

use super::document::Place;
use super::draft::Draft;
use super::format::Format;
use super::number::Decimal;

/// The index of a node.
pub(super) type NodeId = usize;

/// A number of a schema, and how it is printed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    pub(super) exact: Decimal,
    pub(super) float: f64,
}

impl Bound {
    pub(super) fn new(number: &Number) -> Self {
        Self { exact: Decimal::new(number), float: number.as_f64().unwrap_or_default() }
    }
}

/// One schema.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) draft: Draft,
    /// The node of the resource that it belongs to.
    pub(super) resource: NodeId,
    /// `true`, `false` and `{}`.
    pub(super) always: Option<bool>,
    pub(super) types: Types,
    pub(super) constant: Option<Value>,
    pub(super) choices: Option<Vec<Value>>,
    pub(super) format: Option<Format>,
    pub(super) reference: Option<NodeId>,
    pub(super) recursive_reference: Option<NodeId>,
    pub(super) recursive_anchor: bool,
    pub(super) dynamic_reference: Option<DynamicReference>,
    pub(super) dynamic_anchor: Option<String>,
    /// Of a resource: where its dynamic anchors are.
    pub(super) dynamic_anchors: BTreeMap<String, NodeId>,
    pub(super) object: ObjectRules,
    pub(super) array: ArrayRules,
    pub(super) text: TextRules,
    pub(super) number: NumberRules,
    pub(super) combined: Combined,
}

#[derive(Debug)]
pub(super) struct DynamicReference {
    pub(super) target: NodeId,
    /// The name, if the reference is by an anchor.
    pub(super) anchor: Option<String>,
}

/// Rules for maps.
#[derive(Debug, Default)]
pub(super) struct ObjectRules {
    pub(super) at_least: Option<usize>,
    pub(super) at_most: Option<usize>,
    pub(super) required: Vec<String>,
    pub(super) dependencies: BTreeMap<String, Dependency>,
    pub(super) properties: BTreeMap<String, NodeId>,
    pub(super) patterns: Vec<(Regexp, NodeId)>,
    pub(super) additional: Option<Additional>,
    pub(super) names: Option<NodeId>,
    pub(super) dependent_schemas: BTreeMap<String, NodeId>,
    pub(super) dependent_required: BTreeMap<String, Vec<String>>,
    pub(super) unevaluated: Option<NodeId>,
}

/// What a property asks for, before 2019.
#[derive(Debug)]
pub(super) enum Dependency {
    Properties(Vec<String>),
    Schema(NodeId),
}

/// What is allowed beyond the named.
#[derive(Debug, Clone, Copy)]
pub(super) enum Additional {
    Allowed(bool),
    Schema(NodeId),
}

/// Rules for lists.
#[derive(Debug, Default)]
pub(super) struct ArrayRules {
    pub(super) at_least: Option<usize>,
    pub(super) at_most: Option<usize>,
    pub(super) unique: bool,
    /// Schemas by position.
    pub(super) prefix: Vec<NodeId>,
    /// The schema of all others.
    pub(super) rest: Option<Additional>,
    pub(super) contains: Option<NodeId>,
    pub(super) contains_at_least: Option<usize>,
    pub(super) contains_at_most: Option<usize>,
    pub(super) unevaluated: Option<NodeId>,
}

/// Rules for texts.
#[derive(Debug, Default)]
pub(super) struct TextRules {
    pub(super) at_least: Option<usize>,
    pub(super) at_most: Option<usize>,
    /// And how it is written.
    pub(super) pattern: Option<(Regexp, String)>,
}

/// Rules for numbers.
#[derive(Debug, Default)]
pub(super) struct NumberRules {
    pub(super) minimum: Option<Bound>,
    pub(super) maximum: Option<Bound>,
    pub(super) above: Option<Bound>,
    pub(super) below: Option<Bound>,
    pub(super) multiple_of: Option<Bound>,
}

/// Schemas for the same value.
#[derive(Debug, Default)]
pub(super) struct Combined {
    pub(super) not: Option<NodeId>,
    pub(super) all_of: Vec<NodeId>,
    pub(super) any_of: Vec<NodeId>,
    pub(super) one_of: Vec<NodeId>,
    pub(super) condition: Option<NodeId>,
    pub(super) then: Option<NodeId>,
    pub(super) otherwise: Option<NodeId>,
}

impl Node {
    pub(super) fn new(place: Place, draft: Draft, resource: NodeId) -> Self {
        Self {
            place,
            draft,
            resource,
            always: None,
            types: Types::default(),
            constant: None,
            choices: None,
            format: None,
            reference: None,
            recursive_reference: None,
            recursive_anchor: false,
            dynamic_reference: None,
            dynamic_anchor: None,
            dynamic_anchors: BTreeMap::new(),
            object: ObjectRules::default(),
            array: ArrayRules::default(),
            text: TextRules::default(),
            number: NumberRules::default(),
            combined: Combined::default(),
        }
    }

    /// How many leading items have a schema of their own; all if there is one for the rest.
    pub(super) fn items_evaluated(&self) -> usize {
        if self.array.rest.is_some() { usize::MAX } else { self.array.prefix.len() }
    }
}

/// A set of JSON types.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Types(u8);

/// The names in the order in which messages list them.
const TYPES: [&str; 7] = ["null", "boolean", "number", "integer", "string", "array", "object"];

impl Types {
    /// Reads the value of `type`; unknown names are ignored.
    pub(super) fn new(value: &Value) -> Self {
        let mut types = Self::default();
        let names = match value {
            Value::Array(names) => names.as_slice(),
            one => std::slice::from_ref(one),
        };
        for name in names.iter().filter_map(Value::as_str) {
            if let Some(index) = TYPES.iter().position(|known| *known == name) {
                types.0 |= 1 << index;
            }
        }
        types
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a value is of one of the types; `3.0` is an integer.
    pub(super) fn contain(self, value: &Value) -> bool {
        let has = |name: &str| {
            TYPES.iter().position(|known| *known == name).is_some_and(|index| self.0 & (1 << index) != 0)
        };
        has(type_of(value))
            || matches!(value, Value::Number(number) if has("integer") && Decimal::new(number).is_integer())
    }

    /// `string or object`
    pub(super) fn words(self) -> String {
        let names = TYPES.iter().enumerate().filter(|(index, _)| self.0 & (1 << index) != 0);
        names.map(|(_, name)| *name).collect::<Vec<_>>().join(" or ")
    }
}

/// The name of a value's type; integers are numbers.
pub(super) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
