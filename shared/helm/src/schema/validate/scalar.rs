//! Types, constants, formats, texts and numbers.

use serde_json::Value;

use super::super::message::{self, quote};
use super::super::node::{Bound, Node, type_of};
use super::super::number::Decimal;
use super::{Task, Validator, between};

impl<'s> Validator<'s, '_> {
    pub(super) fn text(&self, task: &mut Task<'s, '_>, text: &str) {
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

    pub(super) fn number(&self, task: &mut Task<'s, '_>, got: &Bound) {
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
}

/// What stops all further checks: the wrong type, value or format.
pub(super) fn basic_fault<'a>(node: &'a Node, value: &'a Value) -> Option<Box<dyn FnOnce() -> String + 'a>> {
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
