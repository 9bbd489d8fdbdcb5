//! Roles and bindings: that they say something, not whether their author may.

use serde_json::Value;

use super::FieldError;
use super::error::Struct;
use super::names;
use super::rules::{is_empty, items, label_selector, named, text};

const GROUP: &str = "rbac.authorization.k8s.io";

/// A Role or ClusterRole.
pub(super) fn role(object: &Value, is_namespaced: bool, out: &mut Vec<FieldError>) {
    for (at, rule) in items(&object["rules"]).iter().enumerate() {
        self::rule(rule, is_namespaced, &format!("rules[{at}]"), out);
    }
    if object["aggregationRule"].is_object() {
        let (path, selectors) = (
            "aggregationRule.clusterRoleSelectors",
            items(&object["aggregationRule"]["clusterRoleSelectors"]),
        );
        if selectors.is_empty() {
            let why = "at least one clusterRoleSelector required if aggregationRule is non-nil";
            out.push(FieldError::required(path, why));
        }
        for (at, selector) in selectors.iter().enumerate() {
            label_selector(selector, &format!("{path}[{at}]"), out);
        }
    }
}

fn rule(rule: &Value, is_namespaced: bool, path: &str, out: &mut Vec<FieldError>) {
    if is_empty(&rule["verbs"]) {
        out.push(FieldError::required(format!("{path}.verbs"), "verbs must contain at least one value"));
    }
    let urls = &rule["nonResourceURLs"];
    if !is_empty(urls) {
        let at = format!("{path}.nonResourceURLs");
        if is_namespaced {
            let why = "namespaced rules cannot apply to non-resource URLs";
            out.push(FieldError::invalid(&at, urls, why));
        }
        if ["apiGroups", "resources", "resourceNames"].iter().any(|field| !is_empty(&rule[*field])) {
            let why = "rules cannot apply to both regular resources and non-resource URLs";
            out.push(FieldError::invalid(at, urls, why));
        }
        return;
    }
    for (field, why) in [
        ("apiGroups", "resource rules must supply at least one api group"),
        ("resources", "resource rules must supply at least one resource"),
    ] {
        if is_empty(&rule[field]) {
            out.push(FieldError::required(format!("{path}.{field}"), why));
        }
    }
}

/// A RoleBinding or ClusterRoleBinding.
pub(super) fn binding(object: &Value, old: Option<&Value>, is_namespaced: bool, out: &mut Vec<FieldError>) {
    let role = &object["roleRef"];
    let kinds: &[&str] = if is_namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    for (field, known) in [("apiGroup", &[GROUP][..]), ("kind", kinds)] {
        if !known.contains(&text(&role[field])) {
            out.push(FieldError::not_supported(format!("roleRef.{field}"), text(&role[field]), known));
        }
    }
    named(&role["name"], names::path_segment, "roleRef.name", out);
    for (at, subject) in items(&object["subjects"]).iter().enumerate() {
        self::subject(subject, is_namespaced, &format!("subjects[{at}]"), out);
    }
    if old.is_some_and(|old| old["roleRef"] != *role) {
        out.push(FieldError::invalid("roleRef", &Struct("RoleRef", role), "cannot change roleRef"));
    }
}

fn subject(subject: &Value, is_namespaced: bool, path: &str, out: &mut Vec<FieldError>) {
    let (name, group) = (&subject["name"], text(&subject["apiGroup"]));
    if is_empty(name) {
        out.push(FieldError::required(format!("{path}.name"), ""));
    }
    let known = match text(&subject["kind"]) {
        "ServiceAccount" => {
            if !is_empty(name) {
                named(name, names::subdomain, &format!("{path}.name"), out);
            }
            ""
        }
        "User" | "Group" => GROUP,
        other => {
            let kinds = ["ServiceAccount", "User", "Group"];
            out.push(FieldError::not_supported(format!("{path}.kind"), other, &kinds));
            return;
        }
    };
    if group != known {
        out.push(FieldError::not_supported(format!("{path}.apiGroup"), group, &[known]));
    }
    if known.is_empty() && !is_namespaced && is_empty(&subject["namespace"]) {
        out.push(FieldError::required(format!("{path}.namespace"), ""));
    }
}
