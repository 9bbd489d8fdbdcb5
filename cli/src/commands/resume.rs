//! `resume`: goes on with the reconciliation of suspended objects.

use anyhow::{Result, bail};
use futures::future::join_all;
use serde_json::Value;

use super::{reconcile, suspend};
use crate::arguments::{ResumeOptions, Target};
use crate::failure;
use crate::kinds::Kind;
use crate::objects;
use crate::session::Session;
use crate::talk;

/// Resumes the named objects, or all of the namespace, and waits for the outcome where asked to or where it is one.
///
/// # Errors
/// Where no name was given, the API server refuses, or a reconciliation that was waited for fails.
pub(crate) async fn run(session: &Session, target: Target<ResumeOptions>) -> Result<()> {
    let (kind, options) = target.split();
    let waits = options.wait.unwrap_or(options.names.len() == 1);
    let mut resumed = Vec::new();
    for name in suspend::names(session, kind, options.names, options.all).await? {
        let namespace = &session.namespace;
        talk::action(&format!("resuming {} {name} in {namespace} namespace", kind.human));
        if suspend::set(session, kind, &name, false).await? {
            talk::success(&format!("{} resumed", kind.human));
            resumed.push(name);
        } else {
            talk::failure(&format!("{} object '{name}' not found in {namespace} namespace", kind.kind));
        }
    }
    if !waits {
        return Ok(());
    }
    resumed.sort();
    let outcomes = join_all(resumed.iter().map(|name| {
        talk::waiting(&format!("waiting for {} reconciliation", kind.kind));
        reconcile::settled(session, kind, &session.namespace, name, |object| is_observed(kind, object))
    }))
    .await;
    let mut failures = 0;
    for (name, outcome) in resumed.iter().zip(outcomes) {
        match outcome {
            Ok(object) => {
                talk::success(&format!("{} {name} reconciliation completed", kind.kind));
                talk::success(&objects::success_message(kind, &object));
            }
            Err(error) => {
                failures += 1;
                let cause = failure::chain(error.as_ref());
                talk::failure(&format!("{} {name} reconciliation failed: {cause}", kind.kind));
            }
        }
    }
    if failures > 0 {
        bail!("reconciliation failed for {failures} {}(s)", kind.kind);
    }
    Ok(())
}

/// Whether the Ready condition speaks of the object as it is now.
fn is_observed(kind: &Kind, object: &Value) -> bool {
    if objects::is_static(kind, object) {
        return true;
    }
    let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default();
    let Some(ready) = objects::ready(object) else { return false };
    let observed = number("/status/observedGeneration");
    let of_condition = ready["observedGeneration"].as_i64().filter(|generation| *generation != 0);
    observed >= 1 && of_condition.unwrap_or(observed) == number("/metadata/generation")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds;

    #[test]
    fn waits_for_a_ready_condition_of_the_current_generation() {
        for (observed, of_condition, expected) in [
            (json!(2), json!(2), true),
            (json!(2), json!(null), true),
            (json!(1), json!(1), false),
            (json!(-1), json!(2), false),
        ] {
            let object = json!({
                "metadata": {"generation": 2},
                "status": {
                    "observedGeneration": observed,
                    "conditions": [{"type": "Ready", "status": "True", "observedGeneration": of_condition}],
                },
            });
            assert_eq!(is_observed(&kinds::KUSTOMIZATION, &object), expected, "{object}");
        }
        assert!(!is_observed(&kinds::KUSTOMIZATION, &json!({"metadata": {"generation": 1}})));
        assert!(is_observed(&kinds::ALERT, &json!({"metadata": {"generation": 1}})));
    }
}
