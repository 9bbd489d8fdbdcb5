//! Nobody gives away what he has not: who writes a role or a binding must hold the permissions in it himself, unless a
//! role lets him `escalate` or `bind`.

use serde_json::Value;

use super::rbac::{self, GROUP};
use super::{Attributes, MASTERS, User};
use crate::api::{Api, ApiError, Resource};

/// Refuses a role or a binding that gives more than its writer has. Other kinds pass.
///
/// # Errors
/// 403, with the permissions that are missing.
pub(crate) fn check(
    api: &Api,
    user: &User,
    resource: &Resource,
    new: &Value,
    old: Option<&Value>,
) -> Result<(), ApiError> {
    if &*resource.group != GROUP || user.groups.iter().any(|group| group == MASTERS) {
        return Ok(());
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (namespace, name) = (text(&new["metadata"]["namespace"]), text(&new["metadata"]["name"]));
    let unchanged = |field: &str| old.is_some_and(|old| old[field] == new[field]);
    let may = |verb: &str, plural: &str, name: &str| {
        let attributes = Attributes {
            verb: verb.into(),
            group: GROUP.into(),
            resource: plural.into(),
            namespace: namespace.clone(),
            name: name.into(),
            path: String::new(),
        };
        rbac::may(api, user, &attributes)
    };
    let given = match &*resource.plural {
        "roles" | "clusterroles" if unchanged("rules") && unchanged("aggregationRule") => return Ok(()),
        "roles" | "clusterroles" if may("escalate", &resource.plural, &name) => return Ok(()),
        "roles" | "clusterroles" => new["rules"].as_array().cloned().unwrap_or_default(),
        "rolebindings" | "clusterrolebindings" => {
            let reference = &new["roleRef"];
            let plural = if reference["kind"] == "Role" { "roles" } else { "clusterroles" };
            if (unchanged("roleRef") && unchanged("subjects"))
                || may("bind", plural, &text(&reference["name"]))
            {
                return Ok(());
            }
            rbac::bound_rules(api, new, &namespace)
        }
        _ => return Ok(()),
    };
    let (resources, paths) = rbac::rules(api, user, &namespace);
    let held: Vec<Value> = resources.into_iter().chain(paths).collect();
    let missing = missing(&held, &given);
    if missing.is_empty() {
        return Ok(());
    }
    let why = format!(
        "user {:?} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
        user.name,
        list(user.groups.iter().map(String::as_str)),
        missing.join("\n")
    );
    Err(ApiError::forbidden(resource, &name, &why))
}

/// The parts of rules that none of the others covers, as Go prints them.
fn missing(held: &[Value], given: &[Value]) -> Vec<String> {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let has = |rule: &Value, field: &str, wanted: &str| {
        rule[field].as_array().into_iter().flatten().any(|value| value == "*" || value == wanted)
    };
    let mut out = Vec::new();
    for rule in given {
        let names = texts(&rule["resourceNames"]);
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                let sub = resource.split_once('/').map(|(_, sub)| format!("*/{sub}"));
                let covers = |held: &Value, verb: &str| {
                    let limits = texts(&held["resourceNames"]);
                    has(held, "verbs", verb)
                        && has(held, "apiGroups", &group)
                        && (has(held, "resources", &resource)
                            || sub.as_deref().is_some_and(|sub| has(held, "resources", sub)))
                        && (limits.is_empty()
                            || (!names.is_empty() && names.iter().all(|name| limits.contains(name))))
                };
                let verbs: Vec<String> = texts(&rule["verbs"])
                    .into_iter()
                    .filter(|verb| !held.iter().any(|held| covers(held, verb)))
                    .collect();
                if !verbs.is_empty() {
                    let (group, resource) = (list([group.as_str()]), list([resource.as_str()]));
                    let named = match names.is_empty() {
                        true => String::new(),
                        false => format!(", ResourceNames:{}", list(names.iter().map(String::as_str))),
                    };
                    let verbs = list(verbs.iter().map(String::as_str));
                    out.push(format!("{{APIGroups:{group}, Resources:{resource}{named}, Verbs:{verbs}}}"));
                }
            }
        }
        for path in texts(&rule["nonResourceURLs"]) {
            let covers = |held: &Value, verb: &str| {
                let urls = texts(&held["nonResourceURLs"]);
                let reaches = |url: &String| {
                    url == "*"
                        || *url == path
                        || url.strip_suffix('*').is_some_and(|start| path.starts_with(start))
                };
                has(held, "verbs", verb) && urls.iter().any(reaches)
            };
            let verbs: Vec<String> = texts(&rule["verbs"])
                .into_iter()
                .filter(|verb| !held.iter().any(|held| covers(held, verb)))
                .collect();
            if !verbs.is_empty() {
                let verbs = list(verbs.iter().map(String::as_str));
                out.push(format!("{{NonResourceURLs:{}, Verbs:{verbs}}}", list([path.as_str()])));
            }
        }
    }
    out
}

/// A list of texts as Go's `%q` prints it.
fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let texts: Vec<String> = texts.into_iter().map(|text| format!("{text:?}")).collect();
    format!("[{}]", texts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_missing_is_named_by_group_and_resource() {
        let held =
            [json!({"apiGroups": ["", "apps"], "resources": ["pods", "*/scale"], "verbs": ["get", "list"]})];
        let rule = |groups: &[&str], resources: &[&str], verbs: &[&str]| json!({"apiGroups": groups, "resources": resources, "verbs": verbs});
        for (given, want) in [
            (rule(&[""], &["pods"], &["get"]), vec![]),
            (rule(&["apps"], &["deployments/scale"], &["list"]), vec![]),
            (
                rule(&[""], &["pods", "secrets"], &["get", "delete"]),
                vec![
                    r#"{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}"#,
                    r#"{APIGroups:[""], Resources:["secrets"], Verbs:["get" "delete"]}"#,
                ],
            ),
            (
                json!({"nonResourceURLs": ["/metrics"], "verbs": ["get"]}),
                vec![r#"{NonResourceURLs:["/metrics"], Verbs:["get"]}"#],
            ),
        ] {
            assert_eq!(missing(&held, std::slice::from_ref(&given)), want, "{given}");
        }
        let everything = [rule(&["*"], &["*"], &["*"])];
        assert!(missing(&everything, &[rule(&["batch"], &["jobs"], &["create"])]).is_empty());
    }
}
