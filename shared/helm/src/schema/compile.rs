//! From documents to nodes: every schema that the root leads to is compiled once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value};
use sluice_gotemplate::functions::regexp::Regexp;

use super::document::{Document, Place, load};
use super::draft::Draft;
use super::format::Format;
use super::node::{Additional, Bound, Dependency, DynamicReference, Node, NodeId, Types};
use super::{Fault, Schema, message, metaschema, pointer};

/// How many schemas one document may hold; more is not a schema that somebody wrote.
const MAX_NODES: usize = 200_000;

/// Compiles documents on demand.
pub(super) struct Compiler {
    documents: HashMap<Arc<str>, Document>,
    nodes: Vec<Node>,
    known: HashMap<Place, NodeId>,
    /// `format` counts in every draft, and documents are not checked: for the schemas of schemas.
    specification: bool,
}

impl Compiler {
    pub(super) fn new(specification: bool) -> Self {
        Self { documents: HashMap::new(), nodes: Vec::new(), known: HashMap::new(), specification }
    }

    /// Compiles the document at `url`.
    pub(super) fn compile(mut self, url: &str, document: Arc<Value>) -> Result<Schema, Fault> {
        let url: Arc<str> = url.into();
        self.add_document(&url, document)?;
        let root = self.node_at(Place { url, pointer: String::new() })?;
        let mut next = root;
        while next < self.nodes.len() {
            self.compile_node(next)?;
            next += 1;
        }
        Ok(Schema { nodes: self.nodes, root })
    }

    fn add_document(&mut self, url: &Arc<str>, value: Arc<Value>) -> Result<(), Fault> {
        let document = Document::new(Arc::clone(url), Arc::clone(&value))?;
        if !self.specification && super::draft::specification(url).is_none() {
            check(&document, &value, "")?;
        }
        self.documents.insert(Arc::clone(url), document);
        Ok(())
    }

    fn document(&mut self, url: &Arc<str>) -> Result<&mut Document, Fault> {
        if !self.documents.contains_key(url) {
            let value = load(url)?;
            self.add_document(url, value)?;
        }
        self.documents.get_mut(url).ok_or_else(|| Fault(format!("failing loading {url:?}")))
    }

    /// The node of a place, to be compiled later if it is new.
    fn node_at(&mut self, place: Place) -> Result<NodeId, Fault> {
        if let Some(id) = self.known.get(&place) {
            return Ok(*id);
        }
        if self.nodes.len() >= MAX_NODES {
            return Err(Fault(format!("the schema has more than {MAX_NODES} subschemas")));
        }
        let id = self.nodes.len();
        self.nodes.push(Node::new(place.clone(), Draft::DEFAULT, id));
        self.known.insert(place, id);
        Ok(id)
    }

    fn compile_node(&mut self, id: NodeId) -> Result<(), Fault> {
        let place = self.nodes[id].place.clone();
        let specification = self.specification;
        let document = self.document(&place.url)?;
        if document.visit(&place.pointer)? && !specification {
            let value = Arc::clone(&document.value);
            check(document, document.lookup(&value, &place.pointer)?, &place.pointer)?;
        }
        let value = Arc::clone(&document.value);
        let value = document.lookup(&value, &place.pointer)?;
        let resource = document.resource(&place.pointer);
        let draft = resource.draft;
        let base = resource.id.clone();
        let resource_place = Place { url: Arc::clone(&place.url), pointer: resource.pointer.clone() };
        let mut dynamic = Vec::new();
        if draft >= Draft::Draft2020 && resource_place == place {
            for name in &resource.dynamic_anchors {
                if let Some(pointer) = document.anchor(resource, name) {
                    dynamic.push((name.clone(), pointer.to_owned()));
                }
            }
        }
        let resource = self.node_at(resource_place)?;
        let mut node = Node::new(place.clone(), draft, resource);
        for (name, pointer) in dynamic {
            let target = self.node_at(Place { url: Arc::clone(&place.url), pointer })?;
            node.dynamic_anchors.insert(name, target);
        }
        match value {
            Value::Bool(always) => node.always = Some(*always),
            Value::Object(map) if map.is_empty() => node.always = Some(true),
            Value::Object(map) => {
                Keywords { compiler: self, map, place: &place, base: &base, draft }.read(&mut node)?
            }
            _ => {}
        }
        self.nodes[id] = node;
        Ok(())
    }
}

/// Checks a document, or a part of one, against the schema of its draft's schemas.
fn check(document: &Document, value: &Value, at: &str) -> Result<(), Fault> {
    let meta = metaschema(document.resource(at).draft)?;
    meta.violation(value).map_or(Ok(()), |violation| {
        let place = Place { url: Arc::clone(&document.url), pointer: at.to_owned() }.location();
        let location = meta.location();
        Err(Fault(format!(
            "{place:?} is not valid against metaschema: jsonschema validation failed with {}\n{violation}",
            message::quote(&location)
        )))
    })
}

/// Reads the keywords of one schema.
struct Keywords<'a> {
    compiler: &'a mut Compiler,
    map: &'a Map<String, Value>,
    place: &'a Place,
    base: &'a str,
    draft: Draft,
}

impl Keywords<'_> {
    fn read(mut self, node: &mut Node) -> Result<(), Fault> {
        node.reference = self.reference("$ref")?;
        if node.reference.is_some() && self.draft < Draft::Draft2019 {
            return Ok(()); // whatever stands beside it is ignored
        }
        self.read_values(node);
        self.read_combined(node)?;
        self.read_object(node)?;
        self.read_array(node)?;
        node.text.at_least = self.size("minLength");
        node.text.at_most = self.size("maxLength");
        if let Some(pattern) = self.text("pattern") {
            node.text.pattern = Some((self.pattern("pattern", pattern)?, pattern.to_owned()));
        }
        if self.draft >= Draft::Draft2019 {
            node.recursive_reference = self.reference("$recursiveRef")?;
            node.recursive_anchor = self.flag("$recursiveAnchor");
        }
        if self.draft >= Draft::Draft2020 {
            if let Some(target) = self.reference("$dynamicRef")? {
                let fragment = self.text("$dynamicRef").and_then(|text| text.split_once('#'));
                let anchor = fragment.and_then(|(_, fragment)| pointer::decode_fragment(fragment));
                let anchor = anchor.filter(|anchor| !anchor.is_empty() && !anchor.starts_with('/'));
                node.dynamic_reference = Some(DynamicReference { target, anchor });
            }
            node.dynamic_anchor = self.text("$dynamicAnchor").map(str::to_owned);
        }
        Ok(())
    }

    fn read_values(&self, node: &mut Node) {
        node.types = self.map.get("type").map(Types::new).unwrap_or_default();
        node.choices = self.map.get("enum").and_then(Value::as_array).cloned();
        if self.draft >= Draft::Draft6 {
            node.constant = self.map.get("const").cloned();
        }
        if self.draft < Draft::Draft2019 || self.compiler.specification {
            node.format = self.text("format").and_then(Format::named);
        }
        let numbers = &mut node.number;
        numbers.multiple_of = self.number("multipleOf");
        (numbers.minimum, numbers.above) = self.limits("minimum", "exclusiveMinimum");
        (numbers.maximum, numbers.below) = self.limits("maximum", "exclusiveMaximum");
    }

    /// An inclusive and an exclusive limit; the exclusive one was a flag in draft 4.
    fn limits(&self, inclusive: &str, exclusive: &str) -> (Option<Bound>, Option<Bound>) {
        let limit = self.number(inclusive);
        if self.flag(exclusive) { (None, limit) } else { (limit, self.number(exclusive)) }
    }

    fn read_combined(&mut self, node: &mut Node) -> Result<(), Fault> {
        let combined = &mut node.combined;
        combined.not = self.schema("not")?;
        combined.all_of = self.schemas("allOf")?;
        combined.any_of = self.schemas("anyOf")?;
        combined.one_of = self.schemas("oneOf")?;
        if self.draft >= Draft::Draft7 {
            combined.condition = self.schema("if")?;
            if combined.condition.is_some() {
                combined.then = self.schema("then")?;
                combined.otherwise = self.schema("else")?;
            }
        }
        Ok(())
    }

    fn read_object(&mut self, node: &mut Node) -> Result<(), Fault> {
        let object = &mut node.object;
        object.at_least = self.size("minProperties");
        object.at_most = self.size("maxProperties");
        object.required = self.map.get("required").map(texts).unwrap_or_default();
        object.properties = self.schema_map("properties")?;
        for (pattern, schema) in self.schema_map("patternProperties")? {
            object.patterns.push((self.pattern("patternProperties", &pattern)?, schema));
        }
        object.additional = self.additional("additionalProperties")?;
        if let Some(dependencies) = self.map.get("dependencies").and_then(Value::as_object) {
            for (name, value) in dependencies {
                let dependency = if value.is_array() {
                    Dependency::Properties(texts(value))
                } else {
                    Dependency::Schema(self.below(&["dependencies", name])?)
                };
                object.dependencies.insert(name.clone(), dependency);
            }
        }
        if self.draft >= Draft::Draft6 {
            object.names = self.schema("propertyNames")?;
        }
        if self.draft >= Draft::Draft2019 {
            object.dependent_schemas = self.schema_map("dependentSchemas")?;
            let required = self.map.get("dependentRequired").and_then(Value::as_object);
            for (name, names) in required.into_iter().flatten() {
                if names.is_array() {
                    object.dependent_required.insert(name.clone(), texts(names));
                }
            }
            object.unevaluated = self.schema("unevaluatedProperties")?;
        }
        Ok(())
    }

    fn read_array(&mut self, node: &mut Node) -> Result<(), Fault> {
        let array = &mut node.array;
        array.at_least = self.size("minItems");
        array.at_most = self.size("maxItems");
        array.unique = self.flag("uniqueItems");
        if self.draft >= Draft::Draft2020 {
            array.prefix = self.schemas("prefixItems")?;
            array.rest = self.schema("items")?.map(Additional::Schema);
        } else if self.map.get("items").is_some_and(Value::is_array) {
            array.prefix = self.schemas("items")?;
            array.rest = self.additional("additionalItems")?;
        } else {
            array.rest = self.schema("items")?.map(Additional::Schema);
        }
        if self.draft >= Draft::Draft6 {
            array.contains = self.schema("contains")?;
        }
        if self.draft >= Draft::Draft2019 {
            if array.contains.is_some() {
                array.contains_at_least = self.size("minContains");
                array.contains_at_most = self.size("maxContains");
            }
            array.unevaluated = self.schema("unevaluatedItems")?;
        }
        Ok(())
    }

    fn text(&self, keyword: &str) -> Option<&str> {
        self.map.get(keyword).and_then(Value::as_str)
    }

    fn flag(&self, keyword: &str) -> bool {
        self.map.get(keyword) == Some(&Value::Bool(true))
    }

    fn number(&self, keyword: &str) -> Option<Bound> {
        match self.map.get(keyword)? {
            Value::Number(number) => Some(Bound::new(number)),
            _ => None,
        }
    }

    fn size(&self, keyword: &str) -> Option<usize> {
        let bound = self.number(keyword)?;
        // The schema of schemas has refused negative ones; a float beyond any size saturates.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        bound.exact.is_integer().then_some(bound.float as usize)
    }

    fn pattern(&self, keyword: &str, text: &str) -> Result<Regexp, Fault> {
        Regexp::compile(text.as_bytes()).map_err(|error| {
            let place = Place {
                url: Arc::clone(&self.place.url),
                pointer: format!("{}/{keyword}", self.place.pointer),
            };
            Fault(format!("invalid regex {text:?} at {:?}: {error}", place.location()))
        })
    }

    /// The node of a place below this schema.
    fn below(&mut self, steps: &[&str]) -> Result<NodeId, Fault> {
        let pointer = format!("{}{}", self.place.pointer, pointer::join(steps.iter().copied()));
        self.compiler.node_at(Place { url: Arc::clone(&self.place.url), pointer })
    }

    fn schema(&mut self, keyword: &str) -> Result<Option<NodeId>, Fault> {
        if self.map.contains_key(keyword) { self.below(&[keyword]).map(Some) } else { Ok(None) }
    }

    fn schemas(&mut self, keyword: &str) -> Result<Vec<NodeId>, Fault> {
        let count = self.map.get(keyword).and_then(Value::as_array).map_or(0, Vec::len);
        (0..count).map(|index| self.below(&[keyword, &index.to_string()])).collect()
    }

    fn schema_map(&mut self, keyword: &str) -> Result<BTreeMap<String, NodeId>, Fault> {
        let Some(map) = self.map.get(keyword).and_then(Value::as_object) else {
            return Ok(BTreeMap::new());
        };
        map.keys().map(|name| Ok((name.clone(), self.below(&[keyword, name])?))).collect()
    }

    fn additional(&mut self, keyword: &str) -> Result<Option<Additional>, Fault> {
        match self.map.get(keyword) {
            Some(Value::Bool(allowed)) => Ok(Some(Additional::Allowed(*allowed))),
            _ => Ok(self.schema(keyword)?.map(Additional::Schema)),
        }
    }

    fn reference(&mut self, keyword: &str) -> Result<Option<NodeId>, Fault> {
        let Some(reference) = self.text(keyword) else { return Ok(None) };
        let broken = |text: &str| Fault(format!("error in parsing {text:?}: it is no address"));
        let (address, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let fragment = pointer::decode_fragment(fragment).ok_or_else(|| broken(reference))?;
        let url = pointer::resolve(self.base, address).ok_or_else(|| broken(address))?;
        let local = self.compiler.document(&self.place.url)?.resolve(&url, &fragment)?;
        let place = match local {
            Some(pointer) => Place { url: Arc::clone(&self.place.url), pointer },
            None => {
                let url: Arc<str> = url.into();
                let document = self.compiler.document(&url)?;
                let pointer = document.resolve(&url, &fragment)?.unwrap_or_default();
                Place { url, pointer }
            }
        };
        self.compiler.node_at(place).map(Some)
    }
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
