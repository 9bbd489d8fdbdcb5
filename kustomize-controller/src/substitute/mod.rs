//! Post-build substitution: `${…}` in the objects that a build produced.
//!
//! Pure. The behaviour is that of Flux's kustomize-controller (`spec.postBuild`), down to its oddity: an object is
//! written as YAML, the **text** is substituted, and the result is read again, so a value decides about its own type.

mod evaluate;
mod glob;
mod parse;

use std::collections::BTreeMap;

use serde_json::Value;

/// Label or annotation that excludes an object, with the value `disabled`.
const SUBSTITUTE_KEY: &str = "kustomize.toolkit.fluxcd.io/substitute";

/// The variables of one Kustomization.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables(BTreeMap<String, String>);

/// What happens to expressions that name no variable, and to objects where there are no variables at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// A variable that is not defined and has no default is an error (Flux's gate `StrictPostBuildSubstitutions`).
    pub strict: bool,
    /// Substitute even if there are no variables (`substituteStrategy: Always`).
    pub always: bool,
}

/// Why a text could not be expanded. The texts are those of Flux's envsubst.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    /// No `}`, or something that is no operator before it.
    #[error("missing closing brace")]
    MissingBrace,
    /// An operator with arguments that make no sense.
    #[error("bad substitution")]
    BadSubstitution,
    /// `${` is not followed by a name.
    #[error("unable to parse variable name")]
    VariableName,
    /// An operator without the argument that it needs.
    #[error("unable to parse substitution within function")]
    WithinFunction,
    /// An undefined variable in strict mode.
    #[error("variable not set (strict mode): \"{0}\"")]
    NotSet(String),
    /// Expressions within expressions within expressions…
    #[error("expressions are nested too deep")]
    TooDeep,
}

/// Why an object could not be substituted.
#[derive(Debug, thiserror::Error)]
pub enum SubstituteError {
    /// A variable has a name that no expression could use.
    #[error("'{0}' var name is invalid, must match '^[_[:alpha:]][_[:alpha:][:digit:]]*$'")]
    InvalidName(String),
    /// An expression in the object is wrong.
    #[error("envsubst error: variable substitution failed: {0}")]
    Expand(#[source] ExpandError),
    /// The substituted text is no YAML any more. The cause quotes no values.
    #[error("envsubst error: YAMLToJSON: {0}")]
    Yaml(#[source] sluice_yaml::Error),
    /// The substituted text is YAML, but no object.
    #[error("UnmarshalJSON: the substituted text is no longer an object")]
    NotAnObject,
}

impl Variables {
    /// No variables.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Defines a variable, over an earlier one of the same name. Newlines are removed from the value, as Flux does.
    pub fn insert(&mut self, name: impl Into<String>, value: &str) {
        self.0.insert(name.into(), value.replace('\n', ""));
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn check_names(&self) -> Result<(), SubstituteError> {
        let valid = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        match self.0.keys().find(|name| !valid(name)) {
            Some(name) => Err(SubstituteError::InvalidName(name.clone())),
            None => Ok(()),
        }
    }
}

/// Values may come from Secrets: only the names are shown.
impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Substitutes in one object.
///
/// # Errors
/// Where a variable name is invalid, an expression is wrong, or the result is no object any more.
pub fn object(object: Value, variables: &Variables, rules: Rules) -> Result<Value, SubstituteError> {
    if is_disabled(&object) || (variables.is_empty() && !rules.always) {
        return Ok(object);
    }
    variables.check_names()?;
    let text = sluice_yaml::to_string(&object);
    if !text.contains('$') {
        return Ok(object);
    }
    let substituted = expand(&text, variables, rules.strict).map_err(SubstituteError::Expand)?;
    if substituted == text {
        return Ok(object);
    }
    match sluice_yaml::from_str(&substituted).map_err(SubstituteError::Yaml)? {
        object @ Value::Object(_) => Ok(object),
        _ => Err(SubstituteError::NotAnObject),
    }
}

/// Expands the expressions of a text.
///
/// # Errors
/// At the first expression that is wrong or, in strict mode, names an undefined variable.
pub fn expand(text: &str, variables: &Variables, strict: bool) -> Result<String, ExpandError> {
    evaluate::evaluate(&parse::parse(text)?, variables, strict)
}

fn is_disabled(object: &Value) -> bool {
    ["labels", "annotations"].into_iter().any(|map| {
        let key = object
            .get("metadata")
            .and_then(|metadata| metadata.get(map))
            .and_then(|map| map.get(SUBSTITUTE_KEY));
        key.and_then(Value::as_str) == Some("disabled")
    })
}

#[cfg(test)]
mod tests;
