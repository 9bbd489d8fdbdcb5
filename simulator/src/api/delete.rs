//! Deletion: at once, or marked and left to finalizers and controllers.

use bytes::Bytes;
use serde_json::{Value, json};

use super::write::{finalizers, invalid_options, write_error};
use super::{Api, ApiError, Target, now, strategy, success};
use crate::storage::Stored;
use crate::validate::FieldError;

/// What happens to the objects that an object owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Propagation {
    /// They are deleted afterwards.
    #[default]
    Background,
    /// They are deleted before.
    Foreground,
    /// They stay, without an owner.
    Orphan,
}

/// The parameters of a deletion.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) propagation: Propagation,
    pub(crate) dry_run: bool,
    /// Only an object with this uid.
    pub(crate) uid: Option<String>,
    /// Only an object at this resource version.
    pub(crate) resource_version: Option<String>,
}

impl DeleteOptions {
    /// Reads a `DeleteOptions` body; what the query says goes before.
    ///
    /// # Errors
    /// 400 for another kind of body, 422 for policies that do not exist or contradict each other.
    pub(crate) fn read(body: &Value, propagation: Option<&str>, dry_run: bool) -> Result<Self, ApiError> {
        let kind = body["kind"].as_str().unwrap_or_default();
        if !matches!(kind, "" | "DeleteOptions") {
            let version = body["apiVersion"].as_str().unwrap_or_default();
            return Err(ApiError::bad_request(format!(
                "no kind \"{kind}\" is registered for version \"{version}\" in scheme \"pkg/runtime/scheme.go:111\""
            )));
        }
        let policy = propagation.or(body["propagationPolicy"].as_str()).unwrap_or_default();
        let problem = if !body["orphanDependents"].is_null() && !policy.is_empty() {
            let why = "orphanDependents and deletionPropagation cannot be both set";
            Some(FieldError::invalid("propagationPolicy", policy, why))
        } else if !matches!(policy, "" | "Foreground" | "Background" | "Orphan") {
            let known = ["Foreground", "Background", "Orphan", "nil"];
            Some(FieldError::not_supported("propagationPolicy", policy, &known))
        } else {
            None
        };
        if let Some(problem) = problem {
            return Err(invalid_options("DeleteOptions", problem));
        }
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let propagation = match propagation.or(body["propagationPolicy"].as_str()) {
            Some("Orphan") => Propagation::Orphan,
            Some("Foreground") => Propagation::Foreground,
            None if body["orphanDependents"] == true => Propagation::Orphan,
            _ => Propagation::Background,
        };
        Ok(Self {
            propagation,
            dry_run: dry_run || body["dryRun"].as_array().is_some_and(|all| !all.is_empty()),
            uid: text(&body["preconditions"]["uid"]),
            resource_version: text(&body["preconditions"]["resourceVersion"]),
        })
    }
}

/// Namespaces without which a cluster is none.
const SYSTEM: &[&str] = &["default", "kube-public", "kube-system"];

impl Api {
    /// Deletes an object: `Ok` holds the `Status` of a finished deletion, or the object that waits for its finalizers.
    ///
    /// # Errors
    /// 404, or 409 where a precondition does not hold.
    pub(crate) fn delete(&self, target: &Target, options: &DeleteOptions) -> Result<Bytes, ApiError> {
        let resource = &target.resource;
        let live = self.get(target)?;
        if resource.is("", "namespaces") && SYSTEM.contains(&target.name.as_str()) {
            return Err(ApiError::forbidden(resource, &target.name, "this namespace may not be deleted"));
        }
        for (wanted, is, what, end) in [
            (&options.uid, &live.uid, "UID", "deleted and then recreated"),
            (&options.resource_version, &live.revision.to_string(), "ResourceVersion", "modified"),
        ] {
            if let Some(wanted) = wanted.as_ref().filter(|wanted| *wanted != is) {
                let why = format!(
                    "the {what} in the precondition ({wanted}) does not match the {what} in record ({is}). The object \
                     might have been {end}"
                );
                return Err(ApiError::precondition(resource, &target.name, &why));
            }
        }
        if options.dry_run {
            let waits = finalizers(&live.value()) > 0 || resource.is("", "namespaces");
            let gone = || Bytes::from(success(resource, &target.name, &live.uid).to_string());
            return Ok(if waits { Self::render(resource, &live) } else { gone() });
        }
        if options.propagation == Propagation::Orphan {
            self.orphan_dependents(&live);
        }
        let mut value = live.value();
        let is_namespace = resource.is("", "namespaces");
        if options.propagation == Propagation::Foreground && !live.deleting {
            let list = &mut value["metadata"]["finalizers"];
            if list.is_null() {
                *list = json!([]);
            }
            if let Some(list) = list.as_array_mut() {
                list.push(json!("foregroundDeletion"));
            }
        }
        let is_definition = resource.is("apiextensions.k8s.io", "customresourcedefinitions");
        if is_definition
            && !live.deleting
            && let Some(marked) = self.delete_definition(&live)
        {
            return Ok(Self::render(resource, &marked));
        }
        if finalizers(&value) == 0 && !is_namespace {
            let gone = self.store.delete(&resource.collection, &live.key, live.revision);
            let gone = gone.map_err(|error| write_error(resource, &target.name, error))?;
            self.after_removal(&gone);
            if !strategy::shows_what_it_deletes(resource) {
                return Ok(Bytes::from(success(resource, &target.name, &live.uid).to_string()));
            }
            // A pod on a node is told how long it has; nobody runs it here, so it is gone at once.
            if resource.is("", "pods") && value["spec"]["nodeName"].is_string() {
                let grace = value["spec"]["terminationGracePeriodSeconds"].clone();
                value["metadata"]["deletionTimestamp"] = now().into();
                value["metadata"]["deletionGracePeriodSeconds"] = grace;
            }
            return Ok(Bytes::from(value.to_string()));
        }
        if live.deleting {
            return Ok(Self::render(resource, &live));
        }
        value["metadata"]["deletionTimestamp"] = now().into();
        value["metadata"]["deletionGracePeriodSeconds"] = 0.into();
        if let Some(generation) = value["metadata"]["generation"].as_i64() {
            value["metadata"]["generation"] = (generation + 1).into();
        }
        if is_namespace {
            value["status"]["phase"] = "Terminating".into();
        }
        let fields = strategy::fields(resource, &value);
        let written = self.store.update(&resource.collection, live.key.clone(), live.revision, value, fields);
        let stored = written.map_err(|error| write_error(resource, &target.name, error))?;
        Ok(Self::render(resource, &stored))
    }

    /// Removes an object whatever its finalizers say: the end of a namespace, and of a definition.
    pub(crate) fn finish(&self, stored: &Stored) {
        if let Some(now) = self.store.get(&stored.collection, &stored.key)
            && self.store.delete(&stored.collection, &stored.key, now.revision).is_ok()
        {
            self.after_removal(stored);
        }
    }

    /// Takes `owner` out of the owner references of what it owns.
    fn orphan_dependents(&self, owner: &Stored) {
        for dependent in self.store.dependents(&owner.uid) {
            let mut value = dependent.value();
            if let Some(references) = value["metadata"]["ownerReferences"].as_array_mut() {
                references.retain(|reference| reference["uid"] != owner.uid.as_str());
            }
            if value["metadata"]["ownerReferences"].as_array().is_some_and(Vec::is_empty)
                && let Some(metadata) = value["metadata"].as_object_mut()
            {
                metadata.remove("ownerReferences");
            }
            let fields = dependent.fields.to_vec();
            // Someone who writes at the same moment makes this fail; the reference then points nowhere, and the
            // garbage collector removes the object as kube-controller-manager would.
            let _ = self.store.update(
                &dependent.collection,
                dependent.key.clone(),
                dependent.revision,
                value,
                fields,
            );
        }
    }
}
