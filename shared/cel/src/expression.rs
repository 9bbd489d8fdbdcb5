//! One expression: read once, evaluated any number of times.

use kube_cel::KubeCelExt;
use kube_cel::cel::{Context, Program, Value as CelValue};
use serde_json::Value;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Longest expression, in bytes: the API server's limit for its own.
const MAX_LENGTH: usize = 16 * 1024;

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CelError {
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
pub struct Expression {
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
    pub fn new(text: &str) -> Result<Self, CelError> {
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

    /// The expression as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Evaluates the expression over some variables.
    ///
    /// # Errors
    /// [`CelError::Evaluate`], [`CelError::NotBoolean`].
    pub fn holds<'a>(
        &self,
        variables: impl IntoIterator<Item = (&'a str, &'a Value)>,
    ) -> Result<bool, CelError> {
        match self.evaluate(variables)? {
            CelValue::Bool(holds) => Ok(holds),
            _ => Err(CelError::NotBoolean(self.text.clone())),
        }
    }

    /// Evaluates an expression that gives a text.
    ///
    /// # Errors
    /// [`CelError::Evaluate`], also when it gives something else.
    pub fn text_of<'a>(
        &self,
        variables: impl IntoIterator<Item = (&'a str, &'a Value)>,
    ) -> Result<String, CelError> {
        match self.evaluate(variables)? {
            CelValue::String(text) => Ok(text.to_string()),
            other => Err(CelError::Evaluate {
                expression: self.text.clone(),
                cause: format!("it gives a value of type {:?} instead of a string", other.type_of()),
            }),
        }
    }

    fn evaluate<'a>(
        &self,
        variables: impl IntoIterator<Item = (&'a str, &'a Value)>,
    ) -> Result<CelValue, CelError> {
        let mut context = Context::default().with_all();
        for (name, value) in variables {
            context.add_variable_from_value(name.to_owned(), cel_value(value));
        }
        let fail = |cause: String| CelError::Evaluate { expression: self.text.clone(), cause };
        match catch_unwind(AssertUnwindSafe(|| self.program.execute(&context))) {
            Ok(Ok(value)) => Ok(value),
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
}
