//! CEL expressions of the spec: `readyExpr` of dependencies and `healthCheckExprs`.

use kube_cel::KubeCelExt;
use kube_cel::cel::{Context, Program, Value as CelValue};
use serde_json::Value;
use sluice_api::meta::CustomHealthCheck;
use sluice_apply::status::{Kind, Status};
use sluice_apply::{Evaluate, GroupKind};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Longest expression, in bytes: the API server's limit for its own.
const MAX_LENGTH: usize = 16 * 1024;

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CelError {
    /// It is no CEL.
    #[error("failed to parse the CEL expression '{expression}': ERROR: <input>:{cause}")]
    Parse {
        /// The expression.
        expression: String,
        /// Line, column and problem.
        cause: String,
    },
    /// It fails on this object.
    #[error("failed to evaluate the CEL expression '{expression}': {cause}")]
    Evaluate {
        /// The expression.
        expression: String,
        /// The problem.
        cause: String,
    },
    /// It gives something else than true or false.
    #[error("failed to evaluate CEL expression as boolean: '{0}'")]
    NotBoolean(String),
}

/// An expression that can be evaluated any number of times.
pub(crate) struct Expression {
    text: String,
    program: Program,
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Expression({:?})", self.text)
    }
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// [`CelError::Parse`].
    pub(crate) fn new(text: &str) -> Result<Self, CelError> {
        let fail = |cause: String| CelError::Parse { expression: text.to_owned(), cause };
        if text.len() > MAX_LENGTH {
            return Err(fail(format!("1:1: longer than {MAX_LENGTH} bytes")));
        }
        // The parser is generated code that has panicked on odd input before.
        match catch_unwind(|| Program::compile(text)) {
            Ok(Ok(program)) => Ok(Self { text: text.to_owned(), program }),
            // The parser's text has the form of cel-go's, position included.
            Ok(Err(err)) => {
                let text = err.to_string();
                let cause = text.strip_prefix("ERROR: <input>:").unwrap_or(&text);
                Err(fail(cause.to_owned()))
            }
            Err(_) => Err(fail("1:1: Syntax error".to_owned())),
        }
    }

    /// Evaluates the expression over some variables.
    ///
    /// # Errors
    /// [`CelError::Evaluate`], [`CelError::NotBoolean`].
    pub(crate) fn holds<'a>(
        &self,
        variables: impl IntoIterator<Item = (&'a str, &'a Value)>,
    ) -> Result<bool, CelError> {
        let mut context = Context::default().with_all();
        for (name, value) in variables {
            context.add_variable_from_value(name.to_owned(), cel_value(value));
        }
        let fail = |cause: String| CelError::Evaluate { expression: self.text.clone(), cause };
        match catch_unwind(AssertUnwindSafe(|| self.program.execute(&context))) {
            Ok(Ok(CelValue::Bool(holds))) => Ok(holds),
            Ok(Ok(_)) => Err(CelError::NotBoolean(self.text.clone())),
            Ok(Err(err)) => Err(fail(err.to_string())),
            Err(_) => Err(fail("the evaluation panicked".to_owned())),
        }
    }
}

fn cel_value(value: &Value) -> CelValue {
    match value {
        Value::Null => CelValue::Null,
        Value::Bool(value) => CelValue::Bool(*value),
        Value::Number(number) => match number.as_i64() {
            Some(number) => CelValue::Int(number),
            None => CelValue::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => CelValue::String(Arc::new(text.clone())),
        Value::Array(items) => CelValue::List(Arc::new(items.iter().map(cel_value).collect())),
        Value::Object(members) => {
            let members: HashMap<String, CelValue> =
                members.iter().map(|(key, value)| (key.clone(), cel_value(value))).collect();
            CelValue::Map(members.into())
        }
    }
}

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
pub(crate) fn health_rules(checks: &[CustomHealthCheck]) -> Result<Vec<Arc<dyn Evaluate>>, String> {
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
                return Ok(status(kind, &expression.text));
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
    fn expressions_see_their_variables() {
        let dep = json!({"spec": {"suspend": true}, "status": {"n": 3, "list": ["a"]}});
        for (text, want) in [
            ("dep.spec.suspend == true", Ok(true)),
            ("dep.status.n > 2 && 'a' in dep.status.list", Ok(true)),
            ("has(dep.spec.other)", Ok(false)),
            ("dep.status.list.exists(x, x == 'b')", Ok(false)),
            ("dep.status.n", Err(())),
            ("dep.spec.missing == 1", Err(())),
            ("dep.spec.suspend ==", Err(())),
            ("((((", Err(())),
        ] {
            let got = Expression::new(text).and_then(|e| e.holds([("dep", &dep)])).map_err(drop);
            assert_eq!(got, want, "{text}");
        }
    }

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
