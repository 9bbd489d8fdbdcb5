//! RBAC: roles and bindings as they are stored, read anew for each question.

use serde_json::Value;

use super::{Attributes, MASTERS, User};
use crate::api::{Api, ApiError, ListOptions};
use crate::storage::LabelSelector;

pub(super) const GROUP: &str = "rbac.authorization.k8s.io";

/// Refuses what no role allows.
///
/// # Errors
/// 403 in the words of kube-apiserver.
pub(crate) fn authorize(api: &Api, user: &User, attributes: &Attributes) -> Result<(), ApiError> {
    if may(api, user, attributes) {
        return Ok(());
    }
    let Attributes { verb, group, resource, namespace, name, path } = attributes;
    if resource.is_empty() {
        return Err(ApiError::forbidden_path(&format!(
            "User \"{}\" cannot {verb} path \"{path}\"",
            user.name
        )));
    }
    let place = if namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace \"{namespace}\"")
    };
    let why = format!(
        "User \"{}\" cannot {verb} resource \"{resource}\" in API group \"{group}\" {place}",
        user.name
    );
    let plural = resource.split('/').next().unwrap_or_default();
    match api.registry.served().all().find(|known| known.is(group, plural)) {
        Some(known) => Err(ApiError::forbidden(known, name, &why)),
        None => Err(ApiError::forbidden_resource(group, plural, name, &why)),
    }
}

/// Answers the question of an access review.
pub(crate) fn review(api: &Api, user: &User, spec: &Value) -> bool {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    let subresource = text(&resource["subresource"]);
    let attributes = Attributes {
        verb: if path.is_object() { text(&path["verb"]) } else { text(&resource["verb"]) },
        group: text(&resource["group"]),
        resource: match subresource.is_empty() {
            true => text(&resource["resource"]),
            false => format!("{}/{subresource}", text(&resource["resource"])),
        },
        namespace: text(&resource["namespace"]),
        name: text(&resource["name"]),
        path: text(&path["path"]),
    };
    may(api, user, &attributes)
}

pub(super) fn may(api: &Api, user: &User, attributes: &Attributes) -> bool {
    // What the default role system:discovery gives to everybody.
    let public = ["/api", "/apis", "/version", "/openapi", "/healthz", "/livez", "/readyz"];
    let is_public = attributes.resource.is_empty()
        && attributes.verb == "get"
        && public.iter().any(|prefix| attributes.path.starts_with(prefix));
    let is_question = attributes.group == "authorization.k8s.io" && attributes.resource.starts_with("self");
    if is_public || is_question || user.groups.iter().any(|group| group == MASTERS) {
        return true;
    }
    let cluster_wide = objects(api, "clusterrolebindings", "")
        .iter()
        .any(|binding| binds(binding, user, "") && role_allows(api, binding, "", attributes));
    cluster_wide
        || (!attributes.namespace.is_empty()
            && objects(api, "rolebindings", &attributes.namespace).iter().any(|binding| {
                binds(binding, user, &attributes.namespace)
                    && role_allows(api, binding, &attributes.namespace, attributes)
            }))
}

/// What a user may do in a namespace, as `SelfSubjectRulesReview` lists it: for resources, and for other paths.
pub(crate) fn rules(api: &Api, user: &User, namespace: &str) -> (Vec<Value>, Vec<Value>) {
    let mut all = Vec::new();
    if user.groups.iter().any(|group| group == MASTERS) {
        all.push(serde_json::json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}));
        all.push(serde_json::json!({"verbs": ["*"], "nonResourceURLs": ["*"]}));
    }
    for binding in objects(api, "clusterrolebindings", "").iter().filter(|binding| binds(binding, user, "")) {
        all.extend(bound_rules(api, binding, ""));
    }
    let here = if namespace.is_empty() { Vec::new() } else { objects(api, "rolebindings", namespace) };
    for binding in here.iter().filter(|binding| binds(binding, user, namespace)) {
        all.extend(bound_rules(api, binding, namespace));
    }
    all.into_iter().partition(|rule| rule["nonResourceURLs"].is_null())
}

fn objects(api: &Api, plural: &str, namespace: &str) -> Vec<Value> {
    let listed = api
        .target(GROUP, "v1", plural, namespace, "")
        .and_then(|target| api.list(&target, &ListOptions::default()));
    listed.map(|page| page.objects.iter().map(|stored| stored.value()).collect()).unwrap_or_default()
}

fn binds(binding: &Value, user: &User, namespace: &str) -> bool {
    binding["subjects"].as_array().into_iter().flatten().any(|subject| {
        let name = subject["name"].as_str().unwrap_or_default();
        match subject["kind"].as_str() {
            Some("User") => user.name == name,
            Some("Group") => user.groups.iter().any(|group| group == name),
            Some("ServiceAccount") => {
                let namespace = subject["namespace"].as_str().unwrap_or(namespace);
                user.name == format!("system:serviceaccount:{namespace}:{name}")
            }
            _ => false,
        }
    })
}

fn role_allows(api: &Api, binding: &Value, namespace: &str, attributes: &Attributes) -> bool {
    bound_rules(api, binding, namespace).iter().any(|rule| rule_allows(rule, attributes))
}

/// The rules of the role that a binding refers to, with those that it aggregates.
pub(super) fn bound_rules(api: &Api, binding: &Value, namespace: &str) -> Vec<Value> {
    let reference = &binding["roleRef"];
    let name = reference["name"].as_str().unwrap_or_default();
    let (plural, namespace) =
        if reference["kind"] == "Role" { ("roles", namespace) } else { ("clusterroles", "") };
    let Ok(role) = api.target(GROUP, "v1", plural, namespace, name).and_then(|target| api.get(&target))
    else {
        return Vec::new();
    };
    let mut rules = Vec::new();
    collect(api, &role.value(), MAX_AGGREGATION, &mut rules);
    rules
}

/// How often roles may be aggregated from aggregated roles; the default ones do it twice.
const MAX_AGGREGATION: usize = 4;

fn collect(api: &Api, role: &Value, depth: usize, rules: &mut Vec<Value>) {
    rules.extend(role["rules"].as_array().into_iter().flatten().cloned());
    let selectors = role["aggregationRule"]["clusterRoleSelectors"].as_array();
    let Some(selectors) = selectors.filter(|all| !all.is_empty() && depth > 0) else { return };
    let selectors: Vec<LabelSelector> = selectors.iter().filter_map(LabelSelector::from_value).collect();
    for other in objects(api, "clusterroles", "") {
        let labels = &other["metadata"]["labels"];
        if selectors.iter().any(|selector| selector.matches_with(|name| labels[name].as_str())) {
            collect(api, &other, depth - 1, rules);
        }
    }
}

fn rule_allows(rule: &Value, attributes: &Attributes) -> bool {
    let has = |field: &str, wanted: &str| {
        rule[field].as_array().into_iter().flatten().any(|value| value == "*" || value == wanted)
    };
    if !has("verbs", &attributes.verb) {
        return false;
    }
    if attributes.resource.is_empty() {
        return rule["nonResourceURLs"].as_array().into_iter().flatten().filter_map(Value::as_str).any(
            |url| {
                url.strip_suffix('*')
                    .map_or(url == attributes.path, |prefix| attributes.path.starts_with(prefix))
            },
        );
    }
    let any_subresource = attributes.resource.split_once('/').map(|(_, sub)| format!("*/{sub}"));
    let resource =
        has("resources", &attributes.resource) || any_subresource.is_some_and(|all| has("resources", &all));
    let names = rule["resourceNames"].as_array().map(Vec::as_slice).unwrap_or_default();
    let named = names.is_empty() || names.iter().any(|name| *name == *attributes.name);
    has("apiGroups", &attributes.group) && resource && named
}
