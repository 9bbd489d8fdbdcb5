//! Errors as Kubernetes reports them: `metav1.Status` with its codes, reasons and wording.

use serde_json::{Map, Value, json};

use super::registry::Resource;
use crate::validate::FieldError;

/// One field error in `details.causes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause {
    /// `FieldValueInvalid`, `FieldValueRequired`, …
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) field: String,
}

/// A refusal, ready to be sent.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}", .0.message)]
pub(crate) struct ApiError(Box<Parts>);

#[derive(Debug, Clone, PartialEq, Default)]
struct Parts {
    code: u16,
    reason: &'static str,
    message: String,
    details: Map<String, Value>,
    /// Details are shown even where there are none.
    bare_details: bool,
    metadata: Map<String, Value>,
}

impl ApiError {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Parts { code, reason, message: message.into(), ..Parts::default() }))
    }

    fn detail(mut self, key: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        if value.as_str() != Some("") {
            self.0.details.insert(key.to_owned(), value);
        }
        self
    }

    fn about(self, resource: &Resource, name: &str) -> Self {
        self.detail("name", name).detail("group", &*resource.group).detail("kind", &*resource.plural)
    }

    pub(crate) fn code(&self) -> u16 {
        self.0.code
    }

    pub(crate) fn is_conflict(&self) -> bool {
        self.0.reason == "Conflict"
    }

    pub(crate) fn is_not_found(&self) -> bool {
        self.0.reason == "NotFound"
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    pub(crate) fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", resource.qualified());
        Self::new(404, "NotFound", message).about(resource, name)
    }

    /// The path names no resource.
    pub(crate) fn no_such_resource() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource")
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    }

    /// A patch in an encoding that the resource does not take.
    pub(crate) fn unknown_patch() -> Self {
        Self::new(415, "UnsupportedMediaType", "415: Unsupported Media Type").with_bare_details()
    }

    /// The client wants a media type that this server does not write at all.
    pub(crate) fn nothing_acceptable() -> Self {
        let types = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
        let message = format!("406: Not Acceptable\n\nAvailable representations: {types}");
        Self::new(406, "NotAcceptable", message).with_bare_details()
    }

    fn with_bare_details(mut self) -> Self {
        self.0.bare_details = true;
        self
    }

    pub(crate) fn not_acceptable() -> Self {
        let types = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
        Self::new(406, "NotAcceptable", format!("only the following media types are accepted: {types}"))
    }

    pub(crate) fn unsupported_media_type(accepted: &str) -> Self {
        Self::new(
            415,
            "UnsupportedMediaType",
            format!(
                "the body of the request was in an unknown format - accepted media types include: {accepted}"
            ),
        )
    }

    pub(crate) fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", resource.qualified());
        Self::new(409, "AlreadyExists", message).about(resource, name)
    }

    pub(crate) fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.qualified());
        Self::new(409, "Conflict", message).about(resource, name)
    }

    /// A deletion of something else than what is there.
    pub(crate) fn precondition(resource: &Resource, name: &str, why: &str) -> Self {
        let kind = &resource.kind;
        let message = format!("Operation cannot be fulfilled on {kind} \"{name}\": {why}");
        Self::new(409, "Conflict", message).detail("name", name).detail("kind", kind.as_str())
    }

    /// A refusal that upstream passes on without a reason of its own.
    pub(crate) fn without_reason(message: impl Into<String>) -> Self {
        Self::new(500, "", message)
    }

    /// The old object of that name is still going.
    pub(crate) fn still_going(resource: &Resource, name: &str) -> Self {
        let message = format!("object is being deleted: {} \"{name}\" already exists", resource.qualified());
        Self::new(409, "AlreadyExists", message).about(resource, name)
    }

    /// The object changed since the caller read it.
    pub(crate) fn modified(resource: &Resource, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    /// Server-side apply met fields that others own. `message` is the whole sentence.
    pub(crate) fn apply_conflict(message: String, causes: Vec<Cause>) -> Self {
        let causes: Vec<Value> = causes.iter().map(Cause::to_value).collect();
        Self::new(409, "Conflict", message).detail("causes", causes)
    }

    /// A watch or list from a revision that is not kept any more.
    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// As [`Self::expired`], with a token that continues with the newest state.
    pub(crate) fn expired_continue(token: String) -> Self {
        let mut error = Self::expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new list \
             without the continue parameter, or use the continue token in this response to retrieve the remainder of \
             the results. Continuing with the provided token results in an inconsistent list - objects that were \
             created, modified, or deleted between the time the first chunk was returned and now may show up in the \
             list.",
        );
        error.0.metadata.insert("continue".to_owned(), Value::String(token));
        error
    }

    /// The caller asked for a state that is still to come.
    pub(crate) fn from_the_future(wanted: u64, current: u64) -> Self {
        let message = format!("Too large resource version: {wanted}, current: {current}");
        let cause = json!([{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]);
        Self::new(504, "Timeout", message).detail("causes", cause).detail("retryAfterSeconds", 1)
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        Self::new(413, "RequestEntityTooLarge", format!("limit is {limit}"))
    }

    /// Operations of a patch that do not fit the object; upstream keeps the reason to itself.
    pub(crate) fn unprocessable() -> Self {
        Self::new(422, "Invalid", "the server rejected our request due to an error in our request")
            .with_bare_details()
    }

    /// What a patch makes of an object cannot be read.
    pub(crate) fn bad_patch(patched: &str, why: &str) -> Self {
        Self::refused_field("", "", FieldError::invalid_text("patch", patched, why))
    }

    /// The object breaks rules of its kind.
    ///
    /// The message says once what causes may say more often.
    pub(crate) fn invalid(group: &str, kind: &str, name: &str, causes: Vec<Cause>) -> Self {
        let mut lines: Vec<String> = Vec::new();
        for cause in &causes {
            let line = match cause.field.as_str() {
                "" => cause.message.clone(),
                field => format!("{field}: {}", cause.message),
            };
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        let list = match lines.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let causes: Vec<Value> = causes.iter().map(Cause::to_value).collect();
        Self::new(422, "Invalid", format!("{qualified} \"{name}\" is invalid: {list}"))
            .detail("name", name)
            .detail("group", group)
            .detail("kind", kind)
            .detail("causes", causes)
    }

    /// The one field of something without a name that breaks a rule.
    pub(crate) fn refused_field(group: &str, kind: &str, error: FieldError) -> Self {
        Self::invalid(group, kind, "", vec![super::write::cause(error)])
    }

    /// The one field of an object that breaks a rule.
    pub(crate) fn refused_object(group: &str, kind: &str, name: &str, error: FieldError) -> Self {
        Self::invalid(group, kind, name, vec![super::write::cause(error)])
    }

    /// `pods "x" is forbidden: why`.
    pub(crate) fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        let qualified = resource.qualified();
        Self::forbidden_in(&qualified, name, why)
            .detail("group", &*resource.group)
            .detail("kind", &*resource.plural)
    }

    fn forbidden_in(qualified: &str, name: &str, why: &str) -> Self {
        let message = if name.is_empty() {
            format!("{qualified} is forbidden: {why}")
        } else {
            format!("{qualified} \"{name}\" is forbidden: {why}")
        };
        Self::new(403, "Forbidden", message).detail("name", name)
    }

    /// A refusal by the authorizer for a resource that this server may not know.
    pub(crate) fn forbidden_resource(group: &str, plural: &str, name: &str, why: &str) -> Self {
        let qualified = if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
        Self::forbidden_in(&qualified, name, why).detail("group", group).detail("kind", plural)
    }

    /// A refusal by the authorizer for a path that is no resource.
    pub(crate) fn forbidden_path(why: &str) -> Self {
        Self::new(403, "Forbidden", format!("forbidden: {why}")).detail("causes", Value::Null)
    }

    /// The namespace is going away.
    pub(crate) fn namespace_terminating(resource: &Resource, name: &str, namespace: &str) -> Self {
        let why =
            format!("unable to create new content in namespace {namespace} because it is being terminated");
        let cause = json!([{
            "reason": "NamespaceTerminating",
            "message": format!("namespace {namespace} is being terminated"),
            "field": "metadata.namespace",
        }]);
        Self::forbidden(resource, name, &why).detail("causes", cause)
    }

    /// A fault of this server.
    pub(crate) fn internal(message: impl std::fmt::Display) -> Self {
        let text = message.to_string();
        let cause = json!([{"message": text}]);
        Self::new(500, "InternalError", format!("Internal error occurred: {text}")).detail("causes", cause)
    }

    /// The `metav1.Status` object.
    pub(crate) fn to_value(&self) -> Value {
        let parts = &*self.0;
        let mut details = parts.details.clone();
        details.retain(|_, v| !v.is_null());
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": parts.metadata,
            "status": "Failure",
            "message": parts.message,
            "code": parts.code,
        });
        if !parts.reason.is_empty() {
            status["reason"] = parts.reason.into();
        }
        if !details.is_empty()
            || parts.bare_details
            || matches!(parts.reason, "Forbidden" | "NotFound" | "MethodNotAllowed")
        {
            status["details"] = Value::Object(details);
        }
        status
    }
}

impl Cause {
    fn to_value(&self) -> Value {
        let mut value = json!({"reason": self.reason, "message": self.message});
        if !self.field.is_empty() {
            value["field"] = Value::String(self.field.clone());
        }
        value
    }
}

/// The `metav1.Status` of a deletion that left nothing behind.
pub(crate) fn success(resource: &Resource, name: &str, uid: &str) -> Value {
    let mut details = json!({"name": name, "kind": &*resource.plural, "uid": uid});
    if !resource.group.is_empty() {
        details["group"] = json!(&*resource.group);
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
