//! Schemas of schemas, and what none of them has looked at.

use serde_json::Value;

use super::super::message;
use super::super::node::Node;
use super::{Task, Unevaluated, Validator};

impl<'s> Validator<'s, '_> {
    pub(super) fn combined(&mut self, task: &mut Task<'s, '_>) {
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

    pub(super) fn unevaluated(&mut self, task: &mut Task<'s, '_>) {
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

/// What a value holds that the schema itself does not look at, where that matters.
pub(super) fn left_over<'v>(node: &Node, value: &'v Value, needed: bool) -> Unevaluated<'v> {
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
