//! `healthCheckExprs`: what makes an object of a kind ready, where the built-in rules do not know it.

use crate::Expression;
use serde_json::Value;
use sluice_api::meta::CustomHealthCheck;
use sluice_apply::status::{Kind, Status};
use sluice_apply::{Evaluate, GroupKind};
use std::sync::Arc;

/// The health rules of one kind, or of a whole group.
#[derive(Debug)]
struct HealthRule {
    group: String,
    kind: Option<String>,
    current: Expression,
    in_progress: Option<Expression>,
    failed: Option<Expression>,
}

/// Reads `spec.healthCheckExprs`; rules for a kind come before those for a group.
///
/// # Errors
/// The text of the condition, in Flux's words.
pub fn health_rules(checks: &[CustomHealthCheck]) -> Result<Vec<Arc<dyn Evaluate>>, String> {
    let mut rules: Vec<HealthRule> = Vec::new();
    for (i, check) in checks.iter().enumerate() {
        let place = format!("healthchecks[{i}]");
        let group = check.api_version.split_once('/').map_or("", |(group, _)| group).to_owned();
        let kind = check.kind.clone().filter(|kind| !kind.is_empty());
        if rules.iter().any(|rule| rule.group == group && rule.kind == kind) {
            let kind = kind.unwrap_or_default();
            return Err(format!("duplicate custom health check for GroupKind {kind}.{group} at {place}"));
        }
        let context = format!("failed to create custom status evaluator for {place}");
        let read = |name: &str, text: &str| {
            Expression::new(text)
                .map_err(|err| format!("{context}: failed to parse the expression {name}: {err}"))
        };
        let optional = |name: &str, text: &Option<String>| {
            text.as_deref().filter(|t| !t.is_empty()).map(|text| read(name, text)).transpose()
        };
        if check.current.is_empty() {
            return Err(format!("{context}: expression Current not specified"));
        }
        rules.push(HealthRule {
            in_progress: optional("InProgress", &check.in_progress)?,
            failed: optional("Failed", &check.failed)?,
            current: read("Current", &check.current)?,
            group,
            kind,
        });
    }
    rules.sort_by_key(|rule| rule.kind.is_none());
    Ok(rules.into_iter().map(|rule| Arc::new(rule) as Arc<dyn Evaluate>).collect())
}

impl Evaluate for HealthRule {
    fn covers(&self, kind: &GroupKind) -> bool {
        kind.group == self.group && self.kind.as_ref().is_none_or(|own| *own == kind.kind)
    }

    fn evaluate(&self, object: &Value) -> Result<Status, String> {
        let status = |kind: Kind, message: &str| Status { kind, message: message.to_owned(), error: None };
        let observed = object.pointer("/status/observedGeneration").and_then(Value::as_i64);
        let generation = object.pointer("/metadata/generation").and_then(Value::as_i64);
        if observed.is_some() && observed != generation {
            return Ok(status(Kind::InProgress, "the controller has not seen this generation yet"));
        }
        for (expression, kind) in [
            (self.in_progress.as_ref(), Kind::InProgress),
            (self.failed.as_ref(), Kind::Failed),
            (Some(&self.current), Kind::Current),
        ] {
            let fields = object.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value));
            if let Some(expression) = expression
                && expression.holds(fields).map_err(|err| err.to_string())?
            {
                return Ok(status(kind, expression.text()));
            }
        }
        Ok(status(Kind::InProgress, "no health expression is true"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn health_is_judged_in_flux_order() {
        let check: CustomHealthCheck = serde_json::from_value(json!({
            "apiVersion": "x.io/v1", "kind": "Widget", "current": "status.phase == 'Ready'",
            "inProgress": "status.phase == 'Busy'", "failed": "status.phase == 'Broken'",
        }))
        .unwrap();
        let rules = health_rules(&[check]).unwrap();
        assert!(
            rules[0].covers(&GroupKind::new("x.io", "Widget"))
                && !rules[0].covers(&GroupKind::new("", "Widget"))
        );
        for (status, want) in [
            (json!({"phase": "Ready"}), Some(Kind::Current)),
            (json!({"phase": "Broken"}), Some(Kind::Failed)),
            (json!({"phase": "Busy"}), Some(Kind::InProgress)),
            (json!({"phase": "?"}), Some(Kind::InProgress)),
            (json!({"phase": "Ready", "observedGeneration": 1}), Some(Kind::InProgress)),
            (json!({}), None),
        ] {
            let object = json!({"metadata": {"generation": 2}, "status": status});
            assert_eq!(rules[0].evaluate(&object).ok().map(|s| s.kind), want, "{status}");
        }
    }

    #[test]
    fn bad_health_rules_are_named() {
        let check = |kind: &str, current: &str| -> CustomHealthCheck {
            serde_json::from_value(json!({"apiVersion": "x.io/v1", "kind": kind, "current": current}))
                .unwrap()
        };
        let err = |checks: &[CustomHealthCheck]| health_rules(checks).err().unwrap();
        assert_eq!(
            err(&[check("A", "true"), check("A", "true")]),
            "duplicate custom health check for GroupKind A.x.io at healthchecks[1]"
        );
        assert!(err(&[check("A", "a b")]).starts_with(
            "failed to create custom status evaluator for healthchecks[0]: failed to parse the expression Current: failed to parse the CEL expression 'a b': ERROR: <input>:1:3: Syntax error"
        ));
        assert!(err(&[check("A", "")]).ends_with("expression Current not specified"));
    }
}
