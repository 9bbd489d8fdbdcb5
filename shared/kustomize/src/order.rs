//! The order of the output.

use std::cmp::Ordering;

use crate::error::{BuildError, Result};
use crate::file::SortOptions;
use crate::options::Order;
use crate::resource::Resource;

const FIRST: &[&str] = &[
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];
const LAST: &[&str] = &["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/// Sorts as the root file says, else as the caller's default says.
pub(crate) fn sort(objects: &mut [Resource], wanted: Option<&SortOptions>, default: Order) -> Result<()> {
    let invalid = |text: &str| Err(BuildError::invalid(text));
    let Some(wanted) = wanted else {
        if default == Order::Legacy {
            legacy(objects, FIRST, LAST);
        }
        return Ok(());
    };
    match (wanted.order.as_str(), &wanted.legacy_sort_options) {
        ("fifo", None) => {}
        ("fifo", Some(_)) => {
            return invalid(
                "the field 'sortOptions.legacySortOptions' is set but the selected sort order is 'fifo', not 'legacy'",
            );
        }
        ("legacy", None) => legacy(objects, FIRST, LAST),
        ("legacy", Some(lists)) => legacy(objects, &lists.order_first, &lists.order_last),
        _ => return invalid("the field 'sortOptions.order' must be one of [fifo, legacy]"),
    }
    Ok(())
}

fn legacy<S: AsRef<str>>(objects: &mut [Resource], first: &[S], last: &[S]) {
    let rank = |kind: &str| -> isize {
        let at = |list: &[S]| list.iter().position(|k| k.as_ref() == kind);
        let signed = |at: usize| isize::try_from(at).unwrap_or(isize::MAX);
        match (at(first), at(last)) {
            (Some(at), _) => signed(at) - signed(first.len()),
            (None, Some(at)) => signed(at) + 1,
            (None, None) => 0,
        }
    };
    let or = |text: &str, none: &'static str| if text.is_empty() { none.to_owned() } else { text.to_owned() };
    objects.sort_by_cached_key(|resource| {
        let (group, version) = resource.group_version();
        let kind = resource.kind();
        let gvk = format!("{}_{}_{}", or(group, "~G"), or(version, "~V"), or(kind, "~K"));
        let gvk = if kind == "Namespace" && group.is_empty() { String::new() } else { gvk };
        let namespace = or(resource.namespace(), "~X");
        let id = format!("{}|{namespace}|{}", gvk_string(group, version, kind), or(resource.name(), "~N"));
        Key(rank(kind), gvk, id)
    });
}

/// The kind part of the sort key of objects of one kind.
fn gvk_string(group: &str, version: &str, kind: &str) -> String {
    format!("{group}_{version}_{kind}")
}

#[derive(PartialEq, Eq)]
struct Key(isize, String, String);

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.0, &self.1, &self.2).cmp(&(other.0, &other.1, &other.2))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
