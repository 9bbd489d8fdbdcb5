//! CustomResourceDefinitions: names, versions, and what may change.

use serde_json::Value;

use super::{FieldError, names, structural};

/// Validates a definition; on an update also that what was served stays possible.
pub(super) fn definition(new: &Value, old: Option<&Value>, out: &mut Vec<FieldError>) {
    let (spec, names) = (&new["spec"], &new["spec"]["names"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (group, plural) = (text(&spec["group"]), text(&names["plural"]));
    let name = text(&new["metadata"]["name"]);
    if old.is_none() && name != format!("{plural}.{group}") {
        let why = "must be spec.names.plural+\".\"+spec.group";
        out.push(FieldError::invalid_text("metadata.name", &name, why));
    }
    if group.is_empty() {
        out.push(FieldError::required("spec.group", ""));
    } else {
        out.extend(errors("spec.group", &group, super::subdomain(&group)));
        if group.split('.').count() < 2 {
            out.push(FieldError::invalid_text(
                "spec.group",
                &group,
                "should be a domain with at least one dot",
            ));
        }
    }
    match spec["scope"].as_str().unwrap_or_default() {
        "" => out.push(FieldError::required("spec.scope", "")),
        "Cluster" | "Namespaced" => {}
        other => {
            out.push(FieldError::not_supported(
                "spec.scope",
                &Value::from(other),
                &["Cluster", "Namespaced"],
            ));
        }
    }
    let versions = spec["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    self::versions(versions, out);
    let singular = text(&names["singular"]);
    for (field, value) in [("plural", &plural), ("singular", &singular)] {
        let path = format!("spec.names.{field}");
        if value.is_empty() {
            out.push(FieldError::required(path, ""));
        } else {
            out.extend(errors(&path, value, names::label_1035(value)));
        }
    }
    for field in ["kind", "listKind"] {
        let (path, value) = (format!("spec.names.{field}"), text(&names[field]));
        if value.is_empty() {
            out.push(FieldError::required(path, ""));
            continue;
        }
        let problems = names::label_1035(&value.to_lowercase());
        let problems =
            problems.into_iter().map(|why| format!("may have mixed case, but should otherwise match: {why}"));
        out.extend(errors(&path, &value, problems.collect()));
    }
    for (list, path) in [("shortNames", "spec.names.shortNames"), ("categories", "spec.names.categories")] {
        for (at, value) in names[list].as_array().into_iter().flatten().enumerate() {
            let value = value.as_str().unwrap_or_default();
            out.extend(errors(&format!("{path}[{at}]"), value, names::label_1035(value)));
        }
    }
    schemas(versions, out);
    stored_versions(new, versions, old.is_none(), out);
    if let Some(old) = old {
        for (path, new, old) in [
            ("spec.scope", &spec["scope"], &old["spec"]["scope"]),
            ("spec.group", &spec["group"], &old["spec"]["group"]),
            ("spec.names.kind", &names["kind"], &old["spec"]["names"]["kind"]),
            ("spec.names.plural", &names["plural"], &old["spec"]["names"]["plural"]),
        ] {
            if new != old {
                out.push(FieldError::invalid(path, new, "field is immutable"));
            }
        }
    }
}

fn errors(path: &str, value: &str, problems: Vec<String>) -> Vec<FieldError> {
    problems.into_iter().map(|why| FieldError::invalid_text(path, value, why)).collect()
}

fn versions(versions: &[Value], out: &mut Vec<FieldError>) {
    let mut seen: Vec<&str> = Vec::new();
    for (at, version) in versions.iter().enumerate() {
        let name = version["name"].as_str().unwrap_or_default();
        if seen.contains(&name) {
            out.push(FieldError::invalid(
                "spec.versions",
                &Value::from(shown(versions)),
                "must contain unique version names",
            ));
        }
        seen.push(name);
        let path = format!("spec.versions[{at}].name");
        out.extend(errors(&path, name, names::label_1035(name)));
    }
    // What was the only version once is validated in its old place, too.
    if let Some(name) = versions.first().and_then(|version| version["name"].as_str()) {
        out.extend(errors("spec.version", name, names::label_1035(name)));
    }
    if versions.iter().filter(|version| version["storage"] == true).count() != 1 {
        let why = format!("{}: must have exactly one version marked as storage version", shown(versions));
        out.push(FieldError::invalid_omitted("spec.versions", why));
    }
}

/// Versions as the Go type of the API server's own version writes them. What all versions share lies elsewhere there.
fn shown(versions: &[Value]) -> String {
    if versions.is_empty() {
        return "null".to_owned();
    }
    let shown = versions.iter().map(|version| {
        let flag = |name: &str| version[name] == true;
        let name = Value::from(version["name"].as_str().unwrap_or_default());
        let (served, storage, deprecated) = (flag("served"), flag("storage"), flag("deprecated"));
        let warning = &version["deprecationWarning"];
        format!(
            "{{\"Name\":{name},\"Served\":{served},\"Storage\":{storage},\"Deprecated\":{deprecated},\
             \"DeprecationWarning\":{warning},\"Schema\":null,\"Subresources\":null,\
             \"AdditionalPrinterColumns\":null,\"SelectableFields\":null}}"
        )
    });
    format!("[{}]", shown.collect::<Vec<_>>().join(","))
}

fn schemas(versions: &[Value], out: &mut Vec<FieldError>) {
    let shared = versions.first().filter(|first| versions.iter().all(|one| one["schema"] == first["schema"]));
    if let Some(version) = shared.filter(|version| version["schema"]["openAPIV3Schema"].is_object()) {
        structural::schema(&version["schema"]["openAPIV3Schema"], "spec.validation.openAPIV3Schema", out);
        return;
    }
    for (at, version) in versions.iter().enumerate() {
        let (schema, path) =
            (&version["schema"]["openAPIV3Schema"], format!("spec.versions[{at}].schema.openAPIV3Schema"));
        if schema.is_object() {
            structural::schema(schema, &path, out);
        } else {
            out.push(FieldError::required(path, ""));
        }
    }
}

/// Every version that objects are stored in must stay, and the present one is among them; an update adds it.
fn stored_versions(new: &Value, versions: &[Value], is_new: bool, out: &mut Vec<FieldError>) {
    const PATH: &str = "status.storedVersions";
    let stored = &new["status"]["storedVersions"];
    let list = stored.as_array().map(Vec::as_slice).unwrap_or_default();
    if list.is_empty() {
        out.push(FieldError::invalid_omitted(PATH, "null: must have at least one stored version"));
        return;
    }
    for (at, name) in list.iter().enumerate() {
        if !versions.iter().any(|version| version["name"] == *name) {
            let text = name.as_str().unwrap_or_default();
            let why = format!(
                "missing from spec.versions; {text} was previously a storage version, and must remain in spec.versions \
                 until a storage migration ensures no data remains persisted in {text} and removes {text} from {PATH}"
            );
            out.push(FieldError::invalid(format!("{PATH}[{at}]"), name, why));
        }
    }
    let now = versions.iter().rfind(|version| version["storage"] == true).map(|version| &version["name"]);
    if let Some(now) = now.filter(|now| is_new && !list.contains(now)) {
        let name = now.as_str().unwrap_or_default();
        out.push(FieldError::invalid(PATH, stored, format!("must have the storage version {name}")));
    }
}
