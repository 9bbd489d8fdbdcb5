//! Holds a value against a compiled schema.
//!
//! The order of the checks, what ends them early and how violations nest are those of the validator behind Helm:
//! people and scripts read its texts. Its walk over maps is random; ours is in byte order.

use std::collections::BTreeSet;

use serde_json::Value;

use super::draft::Draft;
use super::message;
use super::node::{Bound, Node, NodeId};
use super::violation::{Shape, Violation};
use super::{Schema, pointer};

mod array;
mod combined;
mod object;
mod scalar;

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
        let unevaluated = combined::left_over(node, value, needs_unevaluated);
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
        if let Some(text) = scalar::basic_fault(node, value) {
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
}

fn between(keyword: &str, got: usize, want: usize) -> String {
    format!("{keyword}: got {}, want {}", message::count(got), message::count(want))
}
