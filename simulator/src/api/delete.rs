//! Deletion: at once, or marked and left to finalizers and controllers.

use bytes::Bytes;
use serde_json::{Value, json};

use super::write::{finalizers, write_error};
use super::{Api, ApiError, Target, now, strategy, success};
use crate::storage::Stored;

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
    pub(crate) fn read(body: &Value, propagation: Option<&str>, dry_run: bool) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let propagation = match propagation.or(body["propagationPolicy"].as_str()) {
            Some("Orphan") => Propagation::Orphan,
            Some("Foreground") => Propagation::Foreground,
            None if body["orphanDependents"] == true => Propagation::Orphan,
            _ => Propagation::Background,
        };
        Self {
            propagation,
            dry_run: dry_run || body["dryRun"].as_array().is_some_and(|all| !all.is_empty()),
            uid: text(&body["preconditions"]["uid"]),
            resource_version: text(&body["preconditions"]["resourceVersion"]),
        }
    }
}

impl Api {
    /// Deletes an object: `Ok` holds the `Status` of a finished deletion, or the object that waits for its finalizers.
    ///
    /// # Errors
    /// 404, or 409 where a precondition does not hold.
    pub(crate) fn delete(&self, target: &Target, options: &DeleteOptions) -> Result<Bytes, ApiError> {
        let resource = &target.resource;
        let live = self.get(target)?;
        for (wanted, is, what) in [
            (&options.uid, &live.uid, "UID"),
            (&options.resource_version, &live.revision.to_string(), "ResourceVersion"),
        ] {
            if let Some(wanted) = wanted.as_ref().filter(|wanted| *wanted != is) {
                let why = format!(
                    "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {is}"
                );
                return Err(ApiError::conflict(resource, &target.name, &why));
            }
        }
        if options.dry_run {
            return Ok(Self::render(resource, &live));
        }
        if options.propagation == Propagation::Orphan {
            self.orphan_dependents(&live);
        }
        let mut value = live.value();
        let is_namespace = resource.is("", "namespaces");
        if options.propagation == Propagation::Foreground
            && !live.deleting
            && !self.store.dependents(&live.uid).is_empty()
        {
            let list = &mut value["metadata"]["finalizers"];
            if list.is_null() {
                *list = json!([]);
            }
            if let Some(list) = list.as_array_mut() {
                list.push(json!("foregroundDeletion"));
            }
        }
        if finalizers(&value) == 0 && !is_namespace {
            let gone = self.store.delete(&resource.collection, &live.key, live.revision);
            let gone = gone.map_err(|error| write_error(resource, &target.name, error))?;
            self.after_delete(resource, &gone);
            return Ok(Bytes::from(success(resource, &target.name, &live.uid).to_string()));
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
        let Some(target) = self.target_of(stored) else { return };
        if let Some(now) = self.store.get(&stored.collection, &stored.key)
            && self.store.delete(&stored.collection, &stored.key, now.revision).is_ok()
        {
            self.after_delete(&target.resource, stored);
        }
    }

    /// Takes `owner` out of the owner references of what it owns.
    fn orphan_dependents(&self, owner: &Stored) {
        for dependent in self.store.dependents(&owner.uid) {
            let mut value = dependent.value();
            if let Some(references) = value["metadata"]["ownerReferences"].as_array_mut() {
                references.retain(|reference| reference["uid"] != owner.uid.as_str());
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
