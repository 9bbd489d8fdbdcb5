//! Sets of field paths, and their encoding in `managedFields` (FieldsV1).

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::schema::MAX_DEPTH;

/// A value that can be part of a path.
#[derive(Clone, Debug)]
pub(crate) struct Scalar(Value);

impl Scalar {
    /// Takes a value as part of a path.
    pub(crate) fn new(value: Value) -> Self {
        Self(value)
    }

    fn rank(&self) -> u8 {
        match self.0 {
            Value::Null => 0,
            Value::Bool(_) => 1,
            Value::Number(_) => 2,
            Value::String(_) => 3,
            Value::Array(_) => 4,
            Value::Object(_) => 5,
        }
    }
}

impl Ord for Scalar {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
                (Some(a), Some(b)) => a.cmp(&b),
                _ => a.as_f64().unwrap_or(0.0).total_cmp(&b.as_f64().unwrap_or(0.0)),
            },
            (Value::String(a), Value::String(b)) => a.cmp(b),
            (a @ (Value::Array(_) | Value::Object(_)), b @ (Value::Array(_) | Value::Object(_))) => {
                a.to_string().cmp(&b.to_string())
            }
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Scalar {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scalar {}

/// One step of a path, in structured-merge-diff's order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Element {
    /// A field of a map.
    Field(String),
    /// An item of a map list: its key fields, by name.
    Key(Vec<(String, Scalar)>),
    /// A value of a set.
    Value(Scalar),
    /// An item of any other list.
    Index(i64),
}

impl Element {
    /// A field.
    pub(crate) fn field(name: &str) -> Self {
        Self::Field(name.to_owned())
    }

    fn encode(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(keys) => {
                let mut text = String::from("k:{");
                for (at, (name, value)) in keys.iter().enumerate() {
                    let comma = if at == 0 { "" } else { "," };
                    text += &format!("{comma}{}:{}", Value::from(name.as_str()), value.0);
                }
                text + "}"
            }
            Self::Value(value) => format!("v:{}", value.0),
            Self::Index(at) => format!("i:{at}"),
        }
    }

    fn decode(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        Some(match kind {
            "f" => Self::Field(rest.to_owned()),
            "k" => {
                let keys: BTreeMap<String, Value> = serde_json::from_str(rest).ok()?;
                Self::Key(keys.into_iter().map(|(name, value)| (name, Scalar(value))).collect())
            }
            "v" => Self::Value(Scalar(serde_json::from_str(rest).ok()?)),
            "i" => Self::Index(rest.parse().ok()?),
            _ => return None,
        })
    }

    /// As a conflict's text shows it.
    pub(super) fn display(&self) -> String {
        match self {
            Self::Field(name) => format!(".{name}"),
            Self::Key(keys) => {
                let keys: Vec<String> =
                    keys.iter().map(|(name, value)| format!("{name}={}", value.0)).collect();
                format!("[{}]", keys.join(","))
            }
            Self::Value(value) => format!("[={}]", value.0),
            Self::Index(at) => format!("[{at}]"),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    member: bool,
    children: Set,
}

/// A set of paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Set(BTreeMap<Element, Entry>);

impl Set {
    /// Whether no path is in the set.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a path.
    pub(crate) fn insert(&mut self, path: &[Element]) {
        let Some((last, parents)) = path.split_last() else { return };
        let mut set = self;
        for element in parents {
            set = match set.0.contains_key(element) {
                true => &mut set.0.get_mut(element).expect("it is there").children,
                false => &mut set.0.entry(element.clone()).or_default().children,
            };
        }
        set.0.entry(last.clone()).or_default().member = true;
    }

    /// Whether the path `[element]` itself is in the set.
    pub(super) fn has(&self, element: &Element) -> bool {
        self.0.get(element).is_some_and(|entry| entry.member)
    }

    /// The paths below `element`.
    pub(super) fn below(&self, element: &Element) -> Option<&Set> {
        self.0.get(element).map(|entry| &entry.children).filter(|set| !set.is_empty())
    }

    /// Every path of either set.
    pub(crate) fn union(&self, other: &Set) -> Set {
        let mut out = self.clone();
        for (element, entry) in &other.0 {
            match out.0.get_mut(element) {
                None => {
                    out.0.insert(element.clone(), entry.clone());
                }
                Some(mine) => {
                    mine.member |= entry.member;
                    mine.children = mine.children.union(&entry.children);
                }
            }
        }
        out
    }

    fn combine(&self, other: &Set, keep: &dyn Fn(bool, bool) -> bool, alone: bool) -> Set {
        let mut out = BTreeMap::new();
        for (element, mine) in &self.0 {
            let entry = match other.0.get(element) {
                None if alone => mine.clone(),
                None => continue,
                Some(theirs) => Entry {
                    member: keep(mine.member, theirs.member),
                    children: mine.children.combine(&theirs.children, keep, alone),
                },
            };
            if entry.member || !entry.children.is_empty() {
                out.insert(element.clone(), entry);
            }
        }
        Set(out)
    }

    /// The paths that are not in `other`.
    pub(crate) fn difference(&self, other: &Set) -> Set {
        self.combine(other, &|mine, theirs| mine && !theirs, true)
    }

    /// The paths that are in both.
    pub(crate) fn intersection(&self, other: &Set) -> Set {
        self.combine(other, &|mine, theirs| mine && theirs, false)
    }

    /// The paths that are neither in `other` nor below one of its paths.
    pub(crate) fn recursive_difference(&self, other: &Set) -> Set {
        let mut out = BTreeMap::new();
        for (element, mine) in &self.0 {
            let entry = match other.0.get(element) {
                None => mine.clone(),
                Some(theirs) if theirs.member => continue,
                Some(theirs) => Entry {
                    member: mine.member,
                    children: mine.children.recursive_difference(&theirs.children),
                },
            };
            if entry.member || !entry.children.is_empty() {
                out.insert(element.clone(), entry);
            }
        }
        Set(out)
    }

    /// Makes each named field above a path a path of its own, so that removing all below removes it too.
    pub(super) fn with_parents(&self) -> Set {
        Set(self
            .0
            .iter()
            .map(|(element, entry)| {
                let member = entry.member || matches!(element, Element::Field(_));
                (element.clone(), Entry { member, children: entry.children.with_parents() })
            })
            .collect())
    }

    /// Every path as a conflict's text shows it.
    pub(super) fn display(&self) -> Vec<String> {
        let mut out = Vec::new();
        self.display_into("", &mut out);
        out
    }

    // Members of a level come before paths below it.
    fn display_into(&self, prefix: &str, out: &mut Vec<String>) {
        for (element, _) in self.0.iter().filter(|(_, entry)| entry.member) {
            out.push(format!("{prefix}{}", element.display()));
        }
        for (element, entry) in &self.0 {
            entry.children.display_into(&format!("{prefix}{}", element.display()), out);
        }
    }

    /// Encodes as `fieldsV1`.
    pub(crate) fn encode(&self) -> Value {
        let mut out = Map::new();
        for (element, entry) in &self.0 {
            let mut children = entry.children.encode();
            if let (true, false, Value::Object(children)) =
                (entry.member, entry.children.is_empty(), &mut children)
            {
                children.insert(".".into(), Value::Object(Map::new()));
            }
            out.insert(element.encode(), children);
        }
        Value::Object(out)
    }

    /// Decodes `fieldsV1`; `None` where it is malformed.
    pub(crate) fn decode(fields: &Value) -> Option<Set> {
        Self::decode_at(fields, 0)
    }

    fn decode_at(fields: &Value, depth: usize) -> Option<Set> {
        if depth > MAX_DEPTH {
            return None;
        }
        let mut out = BTreeMap::new();
        for (key, value) in fields.as_object()? {
            if key == "." {
                continue;
            }
            let map = value.as_object()?;
            let member = map.is_empty() || map.contains_key(".");
            out.insert(Element::decode(key)?, Entry { member, children: Self::decode_at(value, depth + 1)? });
        }
        Some(Set(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn encodes_and_decodes_as_the_api_server() {
        let fields = json!({"f:metadata": {"f:labels": {".": {}, "f:app": {}}},
            "f:spec": {"f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}}},
                       "f:finalizers": {"v:\"a/b\"": {}}, "f:old": {"i:2": {}}}});
        assert_eq!(Set::decode(&fields).unwrap().encode(), fields);
        for bad in [json!(1), json!({"x:y": {}}), json!({"k:oops": {}}), json!({"f:a": 1})] {
            assert!(Set::decode(&bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn set_algebra() {
        let set = |value| Set::decode(&value).unwrap();
        let a = set(json!({"f:a": {".": {}, "f:x": {}}, "f:b": {}}));
        let b = set(json!({"f:a": {"f:x": {}}, "f:c": {}}));
        assert_eq!(a.union(&b).encode(), json!({"f:a": {".": {}, "f:x": {}}, "f:b": {}, "f:c": {}}));
        assert_eq!(a.difference(&b).encode(), json!({"f:a": {}, "f:b": {}}));
        assert_eq!(a.intersection(&b).encode(), json!({"f:a": {"f:x": {}}}));
        assert_eq!(a.recursive_difference(&set(json!({"f:a": {}}))).encode(), json!({"f:b": {}}));
    }
}
