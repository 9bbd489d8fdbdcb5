//! Holds a value against a compiled schema.
//!
//! The order of the checks, what ends them early and how violations nest are those of the validator behind Helm:
//! people and scripts read its texts. Its walk over maps is random; ours is in byte order.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::draft::Draft;
use super::message::{self, quote, quoted};
use super::node::{Additional, Bound, Dependency, Node, NodeId, type_of};
use super::number::Decimal;
use super::violation::{Shape, Violation};
use super::{Schema, pointer};

/// How deep schemas may lead into each other for one value, its parents included.
const MAX_DEPTH: usize = 400;

/// How many times a schema may be held against a value: a few seconds. Nested alternatives can ask for 2^n.
const MAX_STEPS: u64 = 5_000_000;

/// What one validation has used up.
#[derive(Debug, Default)]
pub(super) struct Spent {
    steps: u64,
    /// Why the validation was given up.
    pub(super) gave_up: Option<&'static str>,
}

/// A schema that is being applied.
struct Scope {
    node: NodeId,
    /// The keyword of the reference that led here.
    keyword: &'static str,
    /// Which value it is applied to.
    value: usize,
}

pub(super) struct Validator<'s, 'b> {
    schema: &'s Schema,
    spent: &'b mut Spent,
    /// Depth of validators around this one.
    depth: usize,
    path: Vec<String>,
    scopes: Vec<Scope>,
}

/// The parts of a value that no schema has looked at.
#[derive(Debug, Default)]
struct Unevaluated<'v> {
    properties: BTreeSet<&'v str>,
    items: BTreeSet<usize>,
}

impl Unevaluated<'_> {
    fn is_empty(&self) -> bool {
        self.properties.is_empty() && self.items.is_empty()
    }

    fn keep_common(&mut self, other: &Self) {
        self.properties.retain(|name| other.properties.contains(name));
        self.items.retain(|index| other.items.contains(index));
    }
}

/// One schema and one value, while the schema is applied.
struct Task<'s, 'v> {
    node: &'s Node,
    value: &'v Value,
    /// Only whether there is a violation counts.
    quiet: bool,
    unevaluated: Unevaluated<'v>,
    violations: Vec<Violation>,
}

impl<'s, 'b> Validator<'s, 'b> {
    pub(super) fn new(schema: &'s Schema, spent: &'b mut Spent, depth: usize) -> Self {
        Self { schema, spent, depth, path: Vec::new(), scopes: Vec::new() }
    }

    /// Applies the schema `id` to a value.
    pub(super) fn validate(&mut self, id: NodeId, value: &Value) -> Option<Violation> {
        self.apply(id, "", value, 0, false, false).err()
    }

    fn apply<'v>(
        &mut self,
        id: NodeId,
        keyword: &'static str,
        value: &'v Value,
        level: usize,
        quiet: bool,
        needs_unevaluated: bool,
    ) -> Result<Unevaluated<'v>, Violation> {
        self.spent.steps += 1;
        if self.spent.steps > MAX_STEPS {
            self.spent.gave_up = Some("the schema asks for too many comparisons");
        }
        if self.depth + self.scopes.len() >= MAX_DEPTH {
            self.spent.gave_up = Some("the schema or the value is nested too deeply");
        }
        if self.spent.gave_up.is_some() {
            return Err(Violation::default());
        }
        let schema = self.schema;
        let node = &schema.nodes[id];
        let unevaluated = unevaluated(node, value, needs_unevaluated);
        self.scopes.push(Scope { node: id, keyword, value: level });
        let task = Task { node, value, quiet, unevaluated, violations: Vec::new() };
        let result = self.run(id, task);
        self.scopes.pop();
        result
    }

    fn run<'v>(&mut self, id: NodeId, mut task: Task<'s, 'v>) -> Result<Unevaluated<'v>, Violation> {
        let (node, value) = (task.node, task.value);
        match node.always {
            Some(true) => return Ok(task.unevaluated),
            Some(false) => return Err(self.violation(task.quiet, || "false schema".into())),
            None => {}
        }
        if let Some(text) = self.cycle(id) {
            return Err(self.violation(task.quiet, || text));
        }
        if let Some(text) = basic_fault(node, value) {
            return Err(self.violation(task.quiet, text));
        }
        if let Some(target) = node.reference {
            let result = self.refer(target, "$ref", &mut task);
            if node.draft < Draft::Draft2019 {
                return result.map(|()| task.unevaluated);
            }
            task.violations.extend(result.err());
        }
        match value {
            Value::Object(map) => self.object(&mut task, map),
            Value::Array(items) => self.array(&mut task, items),
            Value::String(text) => self.text(&mut task, text),
            Value::Number(number) => self.number(&mut task, &Bound::new(number)),
            Value::Null | Value::Bool(_) => {}
        }
        if task.violations.is_empty() || !task.quiet {
            if node.draft >= Draft::Draft2019 {
                self.late_references(&mut task);
            }
            self.combined(&mut task);
            if node.draft >= Draft::Draft2019 {
                self.unevaluated(&mut task);
            }
        }
        match task.violations.len() {
            0 => Ok(task.unevaluated),
            1 => Err(task.violations.remove(0)),
            _ => {
                let mut group = self.violation(task.quiet, || "validation failed".into());
                group.shape = Shape::Group;
                group.causes = task.violations;
                Err(group)
            }
        }
    }

    fn violation(&self, quiet: bool, text: impl FnOnce() -> String) -> Violation {
        if quiet {
            return Violation::default();
        }
        Violation {
            at: pointer::join(self.path.iter().map(String::as_str)),
            text: text(),
            ..Violation::default()
        }
    }

    fn report(&self, task: &mut Task<'s, '_>, text: impl FnOnce() -> String) {
        let violation = self.violation(task.quiet, text);
        task.violations.push(violation);
    }

    fn report_with(&self, task: &mut Task<'s, '_>, text: impl FnOnce() -> String, causes: Vec<Violation>) {
        let mut violation = self.violation(task.quiet, text);
        violation.causes = causes;
        task.violations.push(violation);
    }

    fn level(&self) -> usize {
        self.scopes.last().map_or(0, |scope| scope.value)
    }

    /// Applies another schema to the same value.
    fn same(
        &mut self,
        task: &mut Task<'s, '_>,
        id: NodeId,
        keyword: &'static str,
        quiet: bool,
    ) -> Result<(), Violation> {
        let (level, needs) = (self.level(), !task.unevaluated.is_empty());
        let rest = self.apply(id, keyword, task.value, level, task.quiet || quiet, needs)?;
        task.unevaluated.keep_common(&rest);
        Ok(())
    }

    /// Applies a schema to a part of the value.
    fn part(&mut self, quiet: bool, id: NodeId, value: &Value, step: &str) -> Result<(), Violation> {
        let level = self.level() + 1;
        self.path.push(step.to_owned());
        let result = self.apply(id, "", value, level, quiet, false);
        self.path.pop();
        result.map(|_| ())
    }

    fn refer(&mut self, id: NodeId, keyword: &'static str, task: &mut Task<'s, '_>) -> Result<(), Violation> {
        self.same(task, id, keyword, false).map_err(|violation| {
            let mut reference = self.violation(task.quiet, || "validation failed".into());
            reference.shape = Shape::Reference;
            reference.causes = violation.ungrouped();
            reference
        })
    }

    /// Whether the same schema is already being applied to the same value.
    fn cycle(&self, id: NodeId) -> Option<String> {
        let (current, before) = self.scopes.split_last()?;
        let first = before
            .iter()
            .enumerate()
            .rev()
            .take_while(|(_, scope)| scope.value == current.value)
            .find(|(_, scope)| scope.node == id)?
            .0;
        Some(format!(
            "both {} and {} resolve to {:?} causing reference cycle",
            self.keyword_path(self.scopes.len() - 1),
            self.keyword_path(first),
            self.schema.nodes[id].place.location()
        ))
    }

    /// The keywords that led to a scope.
    fn keyword_path(&self, index: usize) -> String {
        let mut path = String::new();
        for pair in self.scopes.windows(2).take(index) {
            let [parent, scope] = pair else { continue };
            if scope.keyword.is_empty() {
                let location = |scope: &Scope| self.schema.nodes[scope.node].place.location();
                let (own, above) = (location(scope), location(parent));
                path.push_str(own.strip_prefix(above.as_str()).unwrap_or(&own));
            } else {
                path.push('/');
                path.push_str(scope.keyword);
            }
        }
        path
    }

    fn late_references(&mut self, task: &mut Task<'s, '_>) {
        let node = task.node;
        let schema = self.schema;
        let resource = |scope: &Scope| &schema.nodes[schema.nodes[scope.node].resource];
        if let Some(mut target) = node.recursive_reference {
            if schema.nodes[target].recursive_anchor {
                let outermost = self.scopes.iter().find(|scope| resource(scope).recursive_anchor);
                target = outermost.map_or(target, |scope| schema.nodes[scope.node].resource);
            }
            let result = self.refer(target, "$recursiveRef", task);
            task.violations.extend(result.err());
        }
        if let Some(reference) = &node.dynamic_reference {
            let mut target = reference.target;
            if let Some(anchor) = &reference.anchor
                && schema.nodes[target].dynamic_anchor.as_ref() == Some(anchor)
            {
                let outermost =
                    self.scopes.iter().find_map(|scope| resource(scope).dynamic_anchors.get(anchor));
                target = outermost.copied().unwrap_or(target);
            }
            let result = self.refer(target, "$dynamicRef", task);
            task.violations.extend(result.err());
        }
    }

    fn object(&mut self, task: &mut Task<'s, '_>, map: &Map<String, Value>) {
        let node = task.node;
        let rules = &node.object;
        let count = map.len();
        if let Some(least) = rules.at_least.filter(|least| count < *least) {
            self.report(task, || between("minProperties", count, least));
        }
        if let Some(most) = rules.at_most.filter(|most| count > *most) {
            self.report(task, || between("maxProperties", count, most));
        }
        if let Some(names) = missing(map, &rules.required) {
            self.report(task, || match names.as_slice() {
                [one] => format!("missing property {}", quote(one)),
                names => format!("missing properties {}", quoted(names.iter().copied())),
            });
        }
        if task.quiet && !task.violations.is_empty() {
            return;
        }
        for (name, dependency) in rules.dependencies.iter().filter(|(name, _)| map.contains_key(*name)) {
            match dependency {
                Dependency::Properties(names) => self.dependent_required(task, map, name, names),
                Dependency::Schema(schema) => {
                    let result = self.same(task, *schema, "", false);
                    task.violations.extend(result.err());
                }
            }
        }
        self.properties(task, map);
        if let Some(names) = rules.names {
            self.property_names(task, map, names);
        }
        for (_, schema) in rules.dependent_schemas.iter().filter(|(name, _)| map.contains_key(*name)) {
            let result = self.same(task, *schema, "", false);
            task.violations.extend(result.err());
        }
        for (name, names) in rules.dependent_required.iter().filter(|(name, _)| map.contains_key(*name)) {
            self.dependent_required(task, map, name, names);
        }
    }

    fn dependent_required(
        &self,
        task: &mut Task<'s, '_>,
        map: &Map<String, Value>,
        name: &str,
        names: &[String],
    ) {
        if let Some(missing) = missing(map, names) {
            self.report(task, || {
                format!("properties {} required, if {} exists", quoted(missing), quote(name))
            });
        }
    }

    fn properties(&mut self, task: &mut Task<'s, '_>, map: &Map<String, Value>) {
        let rules = &task.node.object;
        let mut surplus = Vec::new();
        let mut pairs: Vec<_> = map.iter().collect();
        pairs.sort_unstable_by_key(|(name, _)| name.as_bytes());
        for (name, value) in pairs {
            if task.quiet && !task.violations.is_empty() {
                return;
            }
            let named = rules.properties.get(name).copied();
            let patterns = rules.patterns.iter().filter(|(pattern, _)| pattern.is_match(name.as_bytes()));
            let mut evaluated = false;
            for schema in named.into_iter().chain(patterns.map(|(_, schema)| *schema)) {
                evaluated = true;
                let result = self.part(task.quiet, schema, value, name);
                task.violations.extend(result.err());
            }
            if !evaluated && let Some(additional) = rules.additional {
                evaluated = true;
                match additional {
                    Additional::Allowed(true) => {}
                    Additional::Allowed(false) => surplus.push(name.as_str()),
                    Additional::Schema(schema) => {
                        let result = self.part(task.quiet, schema, value, name);
                        task.violations.extend(result.err());
                    }
                }
            }
            if evaluated {
                task.unevaluated.properties.remove(name.as_str());
            }
        }
        if !surplus.is_empty() {
            self.report(task, || format!("additional properties {} not allowed", quoted(surplus)));
        }
    }

    fn property_names(&mut self, task: &mut Task<'s, '_>, map: &Map<String, Value>, names: NodeId) {
        let mut keys: Vec<_> = map.keys().collect();
        keys.sort_unstable();
        for name in keys {
            let depth = self.depth + self.scopes.len();
            let mut names_validator = Validator::new(self.schema, self.spent, depth);
            if let Some(violation) = names_validator.validate(names, &Value::String(name.clone())) {
                let text = || format!("invalid propertyName {}", quote(name));
                self.report_with(task, text, violation.ungrouped());
            }
        }
    }

    fn array(&mut self, task: &mut Task<'s, '_>, items: &[Value]) {
        let rules = &task.node.array;
        let count = items.len();
        if let Some(least) = rules.at_least.filter(|least| count < *least) {
            self.report(task, || between("minItems", count, least));
        }
        if let Some(most) = rules.at_most.filter(|most| count > *most) {
            self.report(task, || between("maxItems", count, most));
        }
        if rules.unique
            && let Some((first, second)) = duplicates(items)
        {
            self.report(task, || {
                format!("items at {} and {} are equal", message::count(first), message::count(second))
            });
        }
        for (index, (item, schema)) in items.iter().zip(&rules.prefix).enumerate() {
            let result = self.part(task.quiet, *schema, item, &index.to_string());
            task.violations.extend(result.err());
        }
        let surplus = count.saturating_sub(rules.prefix.len());
        match rules.rest {
            Some(Additional::Allowed(false)) if surplus > 0 => {
                self.report(task, || {
                    format!("last {} additionalItem(s) not allowed", message::count(surplus))
                });
            }
            Some(Additional::Schema(schema)) => {
                for (index, item) in items.iter().enumerate().skip(rules.prefix.len()) {
                    let result = self.part(task.quiet, schema, item, &index.to_string());
                    task.violations.extend(result.err());
                }
            }
            _ => {}
        }
        if let Some(schema) = rules.contains {
            self.contains(task, items, schema);
        }
    }

    fn contains(&mut self, task: &mut Task<'s, '_>, items: &[Value], schema: NodeId) {
        let rules = &task.node.array;
        let mut causes = Vec::new();
        let mut matched = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match self.part(task.quiet, schema, item, &index.to_string()) {
                Err(violation) => causes.push(violation),
                Ok(()) => {
                    matched.push(index.to_string());
                    if task.node.draft >= Draft::Draft2020 {
                        task.unevaluated.items.remove(&index);
                    }
                }
            }
        }
        let found = matched.len();
        match rules.contains_at_least {
            Some(least) if found < least => {
                let want = message::count(least);
                let text = match found {
                    0 => format!("min {want} items required to match contains schema, but none matched"),
                    _ => format!(
                        "min {want} items required to match contains schema, but matched {} items at {}",
                        message::count(found),
                        matched.join(" ")
                    ),
                };
                self.report_with(task, || text, causes);
            }
            None if found == 0 => {
                self.report_with(task, || "no items match contains schema".into(), causes);
            }
            _ => {}
        }
        if let Some(most) = rules.contains_at_most.filter(|most| found > *most) {
            self.report(task, || {
                format!(
                    "max {} items required to match contains schema, but matched {} items at {}",
                    message::count(most),
                    message::count(found),
                    matched.join(" ")
                )
            });
        }
    }

    fn text(&self, task: &mut Task<'s, '_>, text: &str) {
        let rules = &task.node.text;
        if rules.at_least.is_some() || rules.at_most.is_some() {
            let count = text.chars().count();
            if let Some(least) = rules.at_least.filter(|least| count < *least) {
                self.report(task, || between("minLength", count, least));
            }
            if let Some(most) = rules.at_most.filter(|most| count > *most) {
                self.report(task, || between("maxLength", count, most));
            }
        }
        if let Some((_, written)) =
            rules.pattern.as_ref().filter(|(pattern, _)| !pattern.is_match(text.as_bytes()))
        {
            self.report(task, || format!("{} does not match pattern {}", quote(text), quote(written)));
        }
    }

    fn number(&self, task: &mut Task<'s, '_>, got: &Bound) {
        let rules = &task.node.number;
        type Fault = (&'static str, Option<Bound>, fn(Decimal, Decimal) -> bool);
        let faults: [Fault; 5] = [
            ("minimum", rules.minimum, |got, want| got < want),
            ("maximum", rules.maximum, |got, want| got > want),
            ("exclusiveMinimum", rules.above, |got, want| got <= want),
            ("exclusiveMaximum", rules.below, |got, want| got >= want),
            ("multipleOf", rules.multiple_of, |got, want| !got.is_multiple_of(want)),
        ];
        for (keyword, want, wrong) in faults {
            if let Some(want) = want.filter(|want| wrong(got.exact, want.exact)) {
                self.report(task, || {
                    format!(
                        "{keyword}: got {}, want {}",
                        message::float(got.float),
                        message::float(want.float)
                    )
                });
            }
        }
    }

    fn combined(&mut self, task: &mut Task<'s, '_>) {
        let rules = &task.node.combined;
        if let Some(schema) = rules.not
            && self.same(task, schema, "", true).is_ok()
        {
            self.report(task, || "'not' failed".into());
        }
        let mut causes = Vec::new();
        for schema in &rules.all_of {
            if let Err(violation) = self.same(task, *schema, "", false) {
                causes.push(violation);
                if task.quiet {
                    break;
                }
            }
        }
        if !causes.is_empty() {
            self.report_with(task, || "'allOf' failed".into(), causes);
        }
        if !rules.any_of.is_empty() {
            self.any_of(task);
        }
        if !rules.one_of.is_empty() {
            self.one_of(task);
        }
        if let Some(condition) = rules.condition {
            let holds = self.same(task, condition, "", true).is_ok();
            if let Some(schema) = if holds { rules.then } else { rules.otherwise } {
                let result = self.same(task, schema, "", false);
                task.violations.extend(result.err());
            }
        }
    }

    fn any_of(&mut self, task: &mut Task<'s, '_>) {
        let mut causes = Vec::new();
        let mut matched = false;
        for schema in &task.node.combined.any_of {
            match self.same(task, *schema, "", false) {
                Err(violation) => causes.push(violation),
                Ok(()) => {
                    matched = true;
                    if task.unevaluated.is_empty() {
                        break;
                    }
                }
            }
        }
        if !matched {
            self.report_with(task, || "'anyOf' failed".into(), causes);
        }
    }

    fn one_of(&mut self, task: &mut Task<'s, '_>) {
        let mut causes = Vec::new();
        let mut matched = None;
        for (index, schema) in task.node.combined.one_of.iter().enumerate() {
            match (self.same(task, *schema, "", matched.is_some()), matched) {
                (Err(violation), None) => causes.push(violation),
                (Err(_), Some(_)) => {}
                (Ok(()), None) => matched = Some(index),
                (Ok(()), Some(first)) => {
                    self.report(task, || {
                        format!(
                            "'oneOf' failed, subschemas {}, {} matched",
                            message::count(first),
                            message::count(index)
                        )
                    });
                    break;
                }
            }
        }
        if matched.is_none() {
            self.report_with(task, || "'oneOf' failed, none matched".into(), causes);
        }
    }

    fn unevaluated(&mut self, task: &mut Task<'s, '_>) {
        let node = task.node;
        match (task.value, node.object.unevaluated, node.array.unevaluated) {
            (Value::Object(map), Some(schema), _) => {
                for name in std::mem::take(&mut task.unevaluated.properties) {
                    let Some(value) = map.get(name) else { continue };
                    let result = self.part(task.quiet, schema, value, name);
                    task.violations.extend(result.err());
                }
            }
            (Value::Array(items), _, Some(schema)) => {
                for index in std::mem::take(&mut task.unevaluated.items) {
                    let Some(value) = items.get(index) else { continue };
                    let result = self.part(task.quiet, schema, value, &index.to_string());
                    task.violations.extend(result.err());
                }
            }
            _ => {}
        }
    }
}

fn unevaluated<'v>(node: &Node, value: &'v Value, needed: bool) -> Unevaluated<'v> {
    let mut left = Unevaluated::default();
    match value {
        Value::Object(map)
            if node.object.additional.is_none() && (needed || node.object.unevaluated.is_some()) =>
        {
            left.properties = map.keys().map(String::as_str).collect();
        }
        Value::Array(items) if needed || node.array.unevaluated.is_some() => {
            left.items = (node.items_evaluated()..items.len()).collect();
        }
        _ => {}
    }
    left
}

/// What stops all further checks: the wrong type, value or format.
fn basic_fault<'a>(node: &'a Node, value: &'a Value) -> Option<Box<dyn FnOnce() -> String + 'a>> {
    if !node.types.is_empty() && !node.types.contain(value) {
        return Some(Box::new(|| format!("got {}, want {}", type_of(value), node.types.words())));
    }
    if let Some(constant) = &node.constant
        && !equal(value, constant)
    {
        return Some(Box::new(move || match constant {
            Value::Array(_) | Value::Object(_) => "'const' failed".into(),
            simple => format!("value must be {}", message::display(simple)),
        }));
    }
    if let Some(choices) = &node.choices
        && !choices.iter().any(|choice| equal(value, choice))
    {
        return Some(Box::new(move || {
            if choices.iter().any(|choice| choice.is_array() || choice.is_object()) {
                return "'enum' failed".into();
            }
            let shown: Vec<_> = choices.iter().map(message::display).collect();
            match shown.as_slice() {
                [one] => format!("value must be {one}"),
                all => format!("value must be one of {}", all.join(", ")),
            }
        }));
    }
    if let Some(format) = node.format
        && let Value::String(text) = value
        && let Some(fault) = format.fault(text)
    {
        return Some(Box::new(move || format!("{} is not valid {}: {fault}", quote(text), format.name)));
    }
    None
}

fn between(keyword: &str, got: usize, want: usize) -> String {
    format!("{keyword}: got {}, want {}", message::count(got), message::count(want))
}

fn missing<'a>(map: &Map<String, Value>, names: &'a [String]) -> Option<Vec<&'a str>> {
    let missing: Vec<_> = names.iter().filter(|name| !map.contains_key(*name)).map(String::as_str).collect();
    (!missing.is_empty()).then_some(missing)
}

/// Whether two values are equal; numbers by value, so `1` is `1.0`.
fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => Decimal::new(left) == Decimal::new(right),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, left)| right.get(key).is_some_and(|right| equal(left, right)))
        }
        _ => left == right,
    }
}

/// The first two equal items.
fn duplicates(items: &[Value]) -> Option<(usize, usize)> {
    let mut seen = std::collections::HashMap::new();
    for (second, item) in items.iter().enumerate() {
        let mut key = String::new();
        canonical(item, &mut key);
        if let Some(first) = seen.insert(key, second) {
            return Some((first, second));
        }
    }
    None
}

/// A text that is the same for equal values and only for them.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Number(number) => out.push_str(&format!("{:?};", Decimal::new(number))),
        Value::Array(items) => {
            out.push('[');
            items.iter().for_each(|item| canonical(item, out));
            out.push(']');
        }
        Value::Object(map) => {
            let mut pairs: Vec<_> = map.iter().collect();
            pairs.sort_unstable_by_key(|(key, _)| key.as_bytes());
            out.push('{');
            for (key, value) in pairs {
                out.push_str(&format!("{key:?}:"));
                canonical(value, out);
            }
            out.push('}');
        }
        simple => out.push_str(&format!("{simple};")),
    }
}
