//! Items: how many, whether unique, and what they hold.

use std::collections::HashMap;

use serde_json::Value;

use super::super::draft::Draft;
use super::super::message;
use super::super::node::{Additional, NodeId};
use super::super::number::Decimal;
use super::{Task, Validator, between};

impl<'s> Validator<'s, '_> {
    pub(super) fn array(&mut self, task: &mut Task<'s, '_>, items: &[Value]) {
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
}

/// The first two equal items.
fn duplicates(items: &[Value]) -> Option<(usize, usize)> {
    let mut seen = HashMap::new();
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
