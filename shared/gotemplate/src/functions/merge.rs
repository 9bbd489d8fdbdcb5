//! Merging of dictionaries, with the rules of Go's mergo: what counts as absent, and what wins.

use crate::{Context, Error, Map, Stop, Value, stack};

/// Who wins where both sides have an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// The left side, unless its entry is empty.
    KeepLeft,
    /// The right side, also with an empty entry.
    TakeRight,
}

/// Merges `source` into `target`, in place and deeply. Maps that the target does not have are shared with the source.
pub(super) fn merge(cx: &Context<'_>, target: &Map, source: &Map, rule: Rule) -> Result<(), Error> {
    cx.step()?;
    if !stack::has_room() {
        return Err(Stop::Depth.into());
    }
    if target.same(source) {
        return Ok(());
    }
    for (key, value) in source.snapshot() {
        let old = target.get(&key);
        let takes = match (&old, &value) {
            (_, Value::Nil) => rule == Rule::TakeRight,
            (None, _) => true,
            (Some(Value::Map(left)), Value::Map(right)) if !left.is_nil() => {
                merge(cx, left, right, rule)?;
                left.is_empty()
            }
            (Some(old), _) => rule == Rule::TakeRight || is_empty(old),
        };
        if takes {
            cx.set(target, key, value)?;
        }
    }
    Ok(())
}

/// What mergo takes for an unset value. (Structs never are.)
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(object) => object.underlying().is_some_and(|value| is_empty(&value)),
        other => !other.truth(),
    }
}
