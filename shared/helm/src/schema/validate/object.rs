//! Properties: how many, which, and what they hold.

use serde_json::{Map, Value};

use super::super::message::{quote, quoted};
use super::super::node::{Additional, Dependency, NodeId};
use super::{Task, Validator, between};

impl<'s> Validator<'s, '_> {
    pub(super) fn object(&mut self, task: &mut Task<'s, '_>, map: &Map<String, Value>) {
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
}

fn missing<'a>(map: &Map<String, Value>, names: &'a [String]) -> Option<Vec<&'a str>> {
    let missing: Vec<_> = names.iter().filter(|name| !map.contains_key(*name)).map(String::as_str).collect();
    (!missing.is_empty()).then_some(missing)
}
