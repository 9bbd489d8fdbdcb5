//! Tells a change that only deleting and creating can make from an object that is simply wrong.
//!
//! Flux deletes on any 422 of an existing object, so a typo under `force` takes the workload down. Here the API server
//! must have said that the change is not allowed, or must accept the same object under another name.

use std::sync::LazyLock;

use kube::core::Status;
use regex::Regex;
use serde_json::{Value, json};

use crate::{
    discovery::Resource,
    object::{metadata_text, object_entry},
    rest::{self, RequestError},
};

/// Whether a recreation can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Immutable {
    /// The API server says that a field must not change.
    Yes,
    /// It refuses the object for reasons that may concern the change or the object itself.
    Perhaps,
    /// Another failure.
    No,
}

/// Judges the answer to a dry run of an object that exists.
pub(crate) fn judge(error: &RequestError) -> Immutable {
    let Some(status) = error.status() else { return Immutable::No };
    let refused = matches!(status.code, 409 | 422) || matches!(&*status.reason, "Conflict" | "Invalid");
    let causes: Vec<&str> = causes(status);
    let immutable = match causes.is_empty() {
        true => says_immutable(&status.message),
        false => causes.iter().all(|cause| says_immutable(cause)),
    };
    match (immutable, refused) {
        (true, _) => Immutable::Yes,
        (false, true) => Immutable::Perhaps,
        (false, false) => Immutable::No,
    }
}

/// Whether the API server would create the object if it were not there: it is asked to, under another name.
pub(crate) async fn could_be_created(
    client: &kube::Client,
    resource: &Resource,
    field_manager: &str,
    object: &Value,
) -> bool {
    let mut twin = object.clone();
    let namespace = metadata_text(object, "namespace").to_owned();
    let name = metadata_text(object, "name");
    let short: String = name.chars().take(40).collect();
    if let Some(root) = twin.as_object_mut() {
        object_entry(root, "metadata")
            .insert("name".to_owned(), json!(format!("{}-sluice", short.trim_end_matches(['-', '.']))));
    }
    rest::try_create(client, &resource.collection(&namespace), field_manager, &twin).await.is_ok()
}

fn causes(status: &Status) -> Vec<&str> {
    status.details.as_ref().map(|d| d.causes.iter().map(|c| c.message.as_str()).collect()).unwrap_or_default()
}

/// The words of the API server's validation for "this must not change".
fn says_immutable(text: &str) -> bool {
    #[expect(clippy::unwrap_used, reason = "the pattern is a constant")]
    static WORDS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?i)\bis\s+immutable\b|\bimmutable\s+field|\bmay\s+not\s+change\b|\bmay\s+not\s+be\s+changed\b|\bcannot\s+change\b|\bcannot\s+be\s+changed\b|\bForbidden:\s+(?:\S+\s+)?updates?\s+to\b|\bmay\s+not\s+change\s+fields\b|\bupdates\s+to\s+.*\s+(?:is|are)\s+forbidden\b",
        )
        .unwrap()
    });
    WORDS.is_match(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: u16, reason: &str, message: &str, causes: &[&str]) -> RequestError {
        let causes: Vec<Value> = causes.iter().map(|m| json!({"message": m, "field": "spec"})).collect();
        let status = json!({"code": code, "reason": reason, "message": message, "details": {"name": "x", "causes": causes}});
        RequestError::Api(Box::new(serde_json::from_value(status).unwrap()))
    }

    #[test]
    fn only_changes_that_are_not_allowed_call_for_a_recreation() {
        for (code, reason, message, causes, want) in [
            (422, "Invalid", "m", &["Invalid value: {}: field is immutable"][..], Immutable::Yes),
            (422, "Invalid", "m", &["Forbidden: field is immutable when `immutable` is set"], Immutable::Yes),
            (
                422,
                "Invalid",
                "m",
                &["Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden"],
                Immutable::Yes,
            ),
            (
                422,
                "Invalid",
                "m",
                &["Forbidden: pod updates may not change fields other than `image`"],
                Immutable::Yes,
            ),
            (
                422,
                "Invalid",
                "m",
                &["Invalid value: []string{\"1.2.3.4\"}: may not change once set"],
                Immutable::Yes,
            ),
            (422, "Invalid", "cannot change roleRef", &[], Immutable::Yes),
            (422, "Invalid", "spec: Required value", &["Required value"], Immutable::Perhaps),
            (422, "Invalid", "m", &["field is immutable", "Required value"], Immutable::Perhaps),
            (422, "Invalid", "spec is not immutable", &[], Immutable::Perhaps),
            (409, "Conflict", "the object has been modified", &[], Immutable::Perhaps),
            (500, "InternalError", "webhook: field is\n immutable", &[], Immutable::Yes),
            (400, "BadRequest", "unknown field", &[], Immutable::No),
            (403, "Forbidden", "you cannot patch", &[], Immutable::No),
        ] {
            assert_eq!(judge(&error(code, reason, message, causes)), want, "{message} {causes:?}");
        }
        assert_eq!(judge(&RequestError::Transport("is immutable".into())), Immutable::No);
    }
}
