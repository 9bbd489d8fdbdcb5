//! Which rules a built-in kind has.

use serde_json::Value;

use super::{
    FieldError, autoscaling, batch, config, definitions, events, networking, pods, quotas, rbac, services,
    storage, webhooks, workloads,
};

/// The rules of a kind, apart from those for its metadata; `old` is what an update replaces.
pub(crate) fn builtin(group: &str, plural: &str, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut found = Vec::new();
    let out = &mut found;
    match (group, plural) {
        ("", "configmaps") => config::config_map(new, old, out),
        ("", "events") => events::event(new, old, false, out),
        ("", "limitranges") => quotas::limits(new, out),
        ("", "persistentvolumeclaims") => storage::claim(new, old, out),
        ("", "persistentvolumes") => storage::volume(new, old, out),
        ("", "pods") => pods::pod(new, old, out),
        ("", "resourcequotas") => quotas::quota(new, old, out),
        ("", "secrets") => config::secret(new, old, out),
        ("", "services") => services::service(new, old, out),
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations") => {
            webhooks::configuration(new, true, out);
        }
        ("admissionregistration.k8s.io", "validatingwebhookconfigurations") => {
            webhooks::configuration(new, false, out);
        }
        ("apiextensions.k8s.io", "customresourcedefinitions") => definitions::definition(new, old, out),
        ("apps", "controllerrevisions") => workloads::revision(new, old, out),
        ("apps", "daemonsets") => workloads::daemon_set(new, old, out),
        ("apps", "deployments") => workloads::deployment(new, old, out),
        ("apps", "replicasets") => workloads::replica_set(new, old, out),
        ("apps", "statefulsets") => workloads::stateful_set(new, old, out),
        ("autoscaling", "horizontalpodautoscalers") => autoscaling::autoscaler(new, old, out),
        ("batch", "cronjobs") => batch::cron_job(new, old, out),
        ("batch", "jobs") => batch::job(new, old, out),
        ("coordination.k8s.io", "leases") => lease(new, out),
        ("events.k8s.io", "events") => events::event(new, old, true, out),
        ("networking.k8s.io", "ingressclasses") => networking::ingress_class(new, old, out),
        ("networking.k8s.io", "ingresses") => networking::ingress(new, old, out),
        ("networking.k8s.io", "networkpolicies") => networking::policy(new, old, out),
        ("policy", "poddisruptionbudgets") => workloads::budget(new, out),
        ("rbac.authorization.k8s.io", "roles" | "clusterroles") => rbac::role(new, plural == "roles", out),
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => {
            rbac::binding(new, old, plural == "rolebindings", out);
        }
        ("scheduling.k8s.io", "priorityclasses") => workloads::priority_class(new, old, out),
        ("storage.k8s.io", "storageclasses") => storage::class(new, old, out),
        _ => {}
    }
    found
}

/// The rules for the status of a kind.
pub(crate) fn builtin_status(group: &str, plural: &str, new: &Value) -> Vec<FieldError> {
    let mut found = Vec::new();
    match (group, plural) {
        ("apps", _) => workloads::status(plural, new, &mut found),
        ("batch", "jobs") => batch::job_status(new, &mut found),
        ("policy", "poddisruptionbudgets") => workloads::budget_status(new, &mut found),
        _ => {}
    }
    found
}

/// A Lease, which leader election of any client depends on.
fn lease(object: &Value, out: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    for (field, least, why) in [
        ("leaseDurationSeconds", 1, "must be greater than 0"),
        ("leaseTransitions", 0, "must be greater than or equal to 0"),
    ] {
        if spec[field].as_i64().is_some_and(|number| number < least) {
            out.push(FieldError::invalid(format!("spec.{field}"), &spec[field], why));
        }
    }
}
