//! Configurations of admission webhooks. They are kept, never called.

use serde_json::Value;

use super::FieldError;
use super::names;
use super::rules::{in_range, is_empty, items, label_selector, named, one_of, required, text};

/// A ValidatingWebhookConfiguration or MutatingWebhookConfiguration.
pub(super) fn configuration(object: &Value, is_mutating: bool, out: &mut Vec<FieldError>) {
    let hooks = items(&object["webhooks"]);
    for (at, hook) in hooks.iter().enumerate() {
        let path = format!("webhooks[{at}]");
        self::hook(hook, is_mutating, &path, out);
        review_versions(&hook["admissionReviewVersions"], &format!("{path}.admissionReviewVersions"), out);
        let name = &hook["name"];
        if !is_empty(name) && hooks[..at].iter().any(|before| before["name"] == *name) {
            out.push(FieldError::duplicate(format!("{path}.name"), name));
        }
    }
}

fn hook(hook: &Value, is_mutating: bool, path: &str, out: &mut Vec<FieldError>) {
    qualified_name(text(&hook["name"]), &format!("{path}.name"), out);
    for (at, rule) in items(&hook["rules"]).iter().enumerate() {
        self::rule(rule, &format!("{path}.rules[{at}]"), out);
    }
    one_of(&hook["failurePolicy"], &["Fail", "Ignore"], &format!("{path}.failurePolicy"), out);
    one_of(&hook["matchPolicy"], &["Equivalent", "Exact"], &format!("{path}.matchPolicy"), out);
    let effects = ["None", "NoneOnDryRun"];
    match &hook["sideEffects"] {
        Value::Null => {
            let why = "must specify one of None, NoneOnDryRun";
            out.push(FieldError::required(format!("{path}.sideEffects"), why));
        }
        given => one_of(given, &effects, &format!("{path}.sideEffects"), out),
    }
    let seconds = &hook["timeoutSeconds"];
    if seconds.as_i64().is_some_and(|seconds| !(1..=30).contains(&seconds)) {
        let why = "the timeout value must be between 1 and 30 seconds";
        out.push(FieldError::invalid(format!("{path}.timeoutSeconds"), seconds, why));
    }
    for field in ["namespaceSelector", "objectSelector"] {
        label_selector(&hook[field], &format!("{path}.{field}"), out);
    }
    if is_mutating {
        one_of(
            &hook["reinvocationPolicy"],
            &["IfNeeded", "Never"],
            &format!("{path}.reinvocationPolicy"),
            out,
        );
    }
    client(&hook["clientConfig"], &format!("{path}.clientConfig"), out);
}

/// A name of at least three parts.
fn qualified_name(name: &str, path: &str, out: &mut Vec<FieldError>) {
    if name.is_empty() {
        out.push(FieldError::required(path, ""));
        return;
    }
    let problems = names::subdomain(name);
    if problems.is_empty() && name.split('.').count() < 3 {
        let why = "should be a domain with at least three segments separated by dots";
        out.push(FieldError::invalid(path, name, why));
    }
    out.extend(problems.into_iter().map(|why| FieldError::invalid(path, name, why)));
}

fn client(client: &Value, path: &str, out: &mut Vec<FieldError>) {
    let (url, service) = (&client["url"], &client["service"]);
    match (url.as_str(), service.is_object()) {
        (Some(url), false) => {
            let at = format!("{path}.url");
            match url::Url::parse(url) {
                Ok(parsed) if parsed.scheme() != "https" => {
                    let why = "'https' is the only allowed URL scheme; desired format: https://host[/path]";
                    out.push(FieldError::invalid(at, parsed.scheme(), why));
                }
                Ok(_) => {}
                Err(_) => {
                    let why = "url must be a valid URL: the host must be specified; desired format: https://host[/path]";
                    out.push(FieldError::required(at, why));
                }
            }
        }
        (None, true) => {
            let path = format!("{path}.service");
            for field in ["name", "namespace"] {
                required(&service[field], format!("{path}.{field}"), out);
            }
            if let Some(place) = service["path"].as_str().filter(|place| !place.starts_with('/')) {
                let why = "must start with a '/'";
                out.push(FieldError::invalid(format!("{path}.path"), place, why));
            }
            if service["port"].as_i64().is_some_and(|port| !(1..=65_535).contains(&port)) {
                in_range(&service["port"], 1, 65_535, &format!("{path}.port"), out);
            }
        }
        _ => out.push(FieldError::required(path, "exactly one of url or service is required")),
    }
}

fn rule(rule: &Value, path: &str, out: &mut Vec<FieldError>) {
    let known = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
    for (field, what) in
        [("operations", "operations"), ("apiGroups", "API groups"), ("apiVersions", "API versions")]
    {
        let (list, path) = (items(&rule[field]), format!("{path}.{field}"));
        required(&rule[field], &path, out);
        if list.len() > 1 && list.iter().any(|one| one == "*") {
            let why = format!("if '*' is present, must not specify other {what}");
            out.push(FieldError::invalid(&path, &rule[field], why));
        }
        for (at, one) in list.iter().enumerate() {
            match field {
                "operations" => one_of(one, &known, &format!("{path}[{at}]"), out),
                "apiVersions" => required(one, format!("{path}[{at}]"), out),
                _ => {}
            }
        }
    }
    resources(&rule["resources"], &format!("{path}.resources"), out);
    one_of(&rule["scope"], &["*", "Cluster", "Namespaced"], &format!("{path}.scope"), out);
}

fn resources(value: &Value, path: &str, out: &mut Vec<FieldError>) {
    let list = items(value);
    required(value, path, out);
    let (mut whole, mut parts) = (Vec::new(), Vec::new());
    let mut has_plain = false;
    for (at, one) in list.iter().map(text).enumerate() {
        let path = format!("{path}[{at}]");
        let Some((resource, sub)) = one.split_once('/') else {
            match one.is_empty() {
                true => out.push(FieldError::required(path, "")),
                false => has_plain = one != "*",
            }
            continue;
        };
        if whole.contains(&resource) {
            let why = format!("if '{resource}/*' is present, must not specify {one}");
            out.push(FieldError::invalid(&path, one, why));
        }
        if parts.contains(&sub) {
            let why = format!("if '*/{sub}' is present, must not specify {one}");
            out.push(FieldError::invalid(&path, one, why));
        }
        if sub == "*" {
            whole.push(resource);
        }
        if resource == "*" {
            parts.push(sub);
        }
    }
    if list.len() > 1 && list.iter().any(|one| one == "*/*") {
        let why = "if '*/*' is present, must not specify other resources";
        out.push(FieldError::invalid(path, value, why));
    }
    if has_plain && list.iter().any(|one| one == "*") {
        let why = "if '*' is present, must not specify other resources without subresources";
        out.push(FieldError::invalid(path, value, why));
    }
}

fn review_versions(versions: &Value, path: &str, out: &mut Vec<FieldError>) {
    let list = items(versions);
    if list.is_empty() {
        out.push(FieldError::required(path, "must specify one of v1, v1beta1"));
        return;
    }
    for (at, version) in list.iter().enumerate() {
        let path = format!("{path}[{at}]");
        match list[..at].contains(version) {
            true => out.push(FieldError::invalid(path, version, "duplicate version")),
            false => named(version, names::label_1035, &path, out),
        }
    }
    if !list.iter().any(|version| matches!(text(version), "v1" | "v1beta1")) {
        let why = "must include at least one of v1, v1beta1";
        out.push(FieldError::invalid(path, versions, why));
    }
}
