//! Field errors in the API server's words.

use std::fmt;

use serde_json::Value;

use super::internal;

/// What a message repeats of a refused value.
pub(crate) trait Shown {
    /// The value as Go's messages print it.
    fn shown(&self) -> String;
}

impl Shown for Value {
    fn shown(&self) -> String {
        match self {
            Value::String(text) => text.shown(),
            other => other.to_string(),
        }
    }
}

impl Shown for str {
    fn shown(&self) -> String {
        format!("{self:?}")
    }
}

impl Shown for String {
    fn shown(&self) -> String {
        self.as_str().shown()
    }
}

impl Shown for i64 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

/// A struct, by the name of Go's type for it; a list of them prints likewise.
pub(super) struct Struct<'a>(pub(super) &'static str, pub(super) &'a Value);

impl Shown for Struct<'_> {
    fn shown(&self) -> String {
        internal::shown(self.0, self.1)
    }
}

/// Why a field is refused; one cause of a 422 Invalid status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldError {
    /// The path, such as `spec.ports[0].port`.
    pub(crate) field: String,
    /// The reason of the cause, such as `FieldValueInvalid`.
    pub(crate) reason: &'static str,
    /// The message of the cause, such as `Invalid value: 0: must be between 1 and 65535, inclusive`.
    pub(crate) message: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

impl FieldError {
    fn new(field: impl Into<String>, reason: &'static str, message: String) -> Self {
        let field = field.into();
        Self { field: if field.is_empty() { "<nil>".into() } else { field }, reason, message }
    }

    /// A value that breaks a rule.
    pub(crate) fn invalid(
        field: impl Into<String>,
        value: &(impl Shown + ?Sized),
        detail: impl fmt::Display,
    ) -> Self {
        let detail = detail.to_string();
        let detail = if detail.is_empty() { detail } else { format!(": {detail}") };
        Self::new(field, "FieldValueInvalid", format!("Invalid value: {}{detail}", value.shown()))
    }

    /// A text that breaks a rule.
    pub(crate) fn invalid_text(field: impl Into<String>, value: &str, detail: impl fmt::Display) -> Self {
        Self::new(field, "FieldValueInvalid", format!("Invalid value: {value:?}: {detail}"))
    }

    /// A value that breaks a rule, and that is not repeated.
    pub(crate) fn invalid_omitted(field: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self::new(field, "FieldValueInvalid", format!("Invalid value: {detail}"))
    }

    /// A value of the wrong type.
    pub(crate) fn type_invalid(field: impl Into<String>, value: &Value, detail: impl fmt::Display) -> Self {
        Self::new(field, "FieldValueTypeInvalid", format!("Invalid value: {}: {detail}", value.shown()))
    }

    /// Nothing where something must be.
    pub(crate) fn required(field: impl Into<String>, detail: impl fmt::Display) -> Self {
        let detail = detail.to_string();
        let detail = if detail.is_empty() { detail } else { format!(": {detail}") };
        Self::new(field, "FieldValueRequired", format!("Required value{detail}"))
    }

    /// A value that is not one of a list.
    pub(crate) fn not_supported(
        field: impl Into<String>,
        value: &(impl Shown + ?Sized),
        supported: &[&str],
    ) -> Self {
        let supported: Vec<String> = supported.iter().map(|one| format!("{one:?}")).collect();
        let message =
            format!("Unsupported value: {}: supported values: {}", value.shown(), supported.join(", "));
        Self::new(field, "FieldValueNotSupported", message)
    }

    /// A second one where only one may be.
    pub(crate) fn duplicate(field: impl Into<String>, value: &(impl Shown + ?Sized)) -> Self {
        Self::new(field, "FieldValueDuplicate", format!("Duplicate value: {}", value.shown()))
    }

    /// A reference to what is not there.
    pub(crate) fn not_found(field: impl Into<String>, value: &(impl Shown + ?Sized)) -> Self {
        Self::new(field, "FieldValueNotFound", format!("Not found: {}", value.shown()))
    }

    /// A field that may not be set, or not to this.
    pub(crate) fn forbidden(field: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self::new(field, "FieldValueForbidden", format!("Forbidden: {detail}"))
    }

    /// A text of more bytes than allowed.
    pub(crate) fn too_long(field: impl Into<String>, max: u64) -> Self {
        let unit = if max == 1 { "byte" } else { "bytes" };
        Self::new(field, "FieldValueTooLong", format!("Too long: may not be more than {max} {unit}"))
    }

    /// More items than allowed.
    pub(crate) fn too_many(field: impl Into<String>, count: usize, max: u64) -> Self {
        let unit = if max == 1 { "item" } else { "items" };
        Self::new(field, "FieldValueTooMany", format!("Too many: {count}: must have at most {max} {unit}"))
    }

    /// The same error for a reason that a CEL rule names.
    pub(crate) fn with_cel_reason(field: String, reason: Option<&str>, value: &Value, detail: &str) -> Self {
        match reason {
            Some("FieldValueRequired") => Self::required(field, detail),
            Some("FieldValueForbidden") => Self::forbidden(field, detail),
            Some("FieldValueDuplicate") => Self::duplicate(field, value),
            _ if value.is_object() || value.is_array() => Self::invalid_omitted(field, detail),
            _ => Self::invalid(field, value, detail),
        }
    }
}
