//! Writes: create, update, the four patches, and the `status` subresource.

use bytes::Bytes;
use serde_json::{Value, json};

use super::status::Cause;
use super::{Api, ApiError, Resource, Target, convert, defaults, now, strategy};
use crate::merge::{self, ApplyError, Manager, PatchError};
use crate::storage::{Key, Stored, WriteError};
use crate::validate::{self, FieldError};

/// How often a patch is tried again when someone else writes at the same time.
const PATCH_TRIES: usize = 8;

/// The patches of Kubernetes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PatchType {
    Json,
    Merge,
    Strategic,
    Apply,
}

/// What happens with fields that the kind does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

/// The parameters of a write.
#[derive(Debug, Clone)]
pub(crate) struct WriteOptions {
    pub(crate) manager: String,
    pub(crate) dry_run: bool,
    pub(crate) force: bool,
    pub(crate) validation: FieldValidation,
}

impl WriteOptions {
    /// A real write by a field manager, without complaints about unknown fields.
    pub(crate) fn by(manager: &str) -> Self {
        Self { manager: manager.to_owned(), dry_run: false, force: true, validation: FieldValidation::Ignore }
    }
}

/// The outcome of a write.
#[derive(Debug)]
pub(crate) struct Written {
    /// The object, in the version of the target.
    pub(crate) json: Bytes,
    pub(crate) created: bool,
    pub(crate) warnings: Vec<String>,
}

/// Who is said to own what the new object holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ownership {
    /// The writer owns what it changed: computed here.
    Update,
    /// Server-side apply has computed it.
    Applied,
}

impl Api {
    /// Creates an object.
    ///
    /// # Errors
    /// 400, 404 (namespace), 409 `AlreadyExists`, 422, each as kube-apiserver words them.
    pub(crate) fn create(
        &self,
        target: &Target,
        body: Value,
        options: &WriteOptions,
    ) -> Result<Written, ApiError> {
        self.create_as(target, body, options, Ownership::Update)
    }

    /// Replaces an object.
    ///
    /// # Errors
    /// As [`Api::create`], and 409 `Conflict` where the object is not the one that the body was made from.
    pub(crate) fn update(
        &self,
        target: &Target,
        body: Value,
        options: &WriteOptions,
    ) -> Result<Written, ApiError> {
        let live = self.get(target)?;
        let mut new = body;
        identity(target, &mut new)?;
        let version = new["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        let conditional =
            target.resource.custom.is_some() || target.resource.is("coordination.k8s.io", "leases");
        if version.is_empty() && conditional {
            let error =
                FieldError::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
            let (group, plural) = (&target.resource.group, &target.resource.plural);
            return Err(ApiError::invalid(group, plural, &target.name, vec![cause(error)]));
        }
        self.replace(target, &live, new, options, Ownership::Update)
    }

    /// Patches an object; server-side apply creates one that is not there.
    ///
    /// # Errors
    /// As [`Api::update`]; for a refused apply 409 with a cause per field.
    pub(crate) fn patch(
        &self,
        target: &Target,
        kind: PatchType,
        patch: &Value,
        options: &WriteOptions,
    ) -> Result<Written, ApiError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.patch_once(target, kind, patch, options) {
                Err(error)
                    if error.is_conflict()
                        && tries < PATCH_TRIES
                        && patch["metadata"]["resourceVersion"].is_null() =>
                {
                    let manager_conflict = error.to_value()["details"]["causes"].is_array();
                    if manager_conflict {
                        return Err(error);
                    }
                }
                outcome => return outcome,
            }
        }
    }

    fn patch_once(
        &self,
        target: &Target,
        kind: PatchType,
        patch: &Value,
        options: &WriteOptions,
    ) -> Result<Written, ApiError> {
        if kind == PatchType::Apply {
            return self.apply(target, patch, options);
        }
        let live = self.get(target)?;
        let old = convert::from_storage(&target.resource, live.value());
        let patched = match (kind, &target.resource.schema) {
            (PatchType::Json, _) => merge::patch_json(&old, patch),
            (PatchType::Strategic, Some(schema)) if target.resource.custom.is_none() => {
                merge::patch_strategic(schema, &old, patch)
            }
            (PatchType::Strategic, _) => {
                return Err(ApiError::unsupported_media_type(
                    "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
                ));
            }
            _ => merge::patch_merge(&old, patch),
        };
        let mut new = patched.map_err(|error| match error {
            PatchError::Malformed(message) => ApiError::bad_request(message),
            PatchError::Unprocessable(message) => ApiError::unprocessable(message),
        })?;
        identity(target, &mut new)?;
        self.replace(target, &live, new, options, Ownership::Update)
    }

    fn apply(&self, target: &Target, patch: &Value, options: &WriteOptions) -> Result<Written, ApiError> {
        let resource = &target.resource;
        let mut patch = patch.clone();
        identity(target, &mut patch)?;
        if options.manager.is_empty() {
            return Err(ApiError::bad_request(
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
            ));
        }
        let live = match self.get(target) {
            Ok(live) => Some(live),
            Err(error) if error.is_not_found() && target.subresource.is_empty() => None,
            Err(error) => return Err(error),
        };
        let old = live.as_ref().map(|live| convert::from_storage(resource, live.value()));
        let reset = strategy::reset_fields(target);
        let (api_version, time) = (resource.api_version(), now());
        let manager = Manager {
            name: &options.manager,
            api_version: &api_version,
            subresource: &target.subresource,
            now: &time,
            reset: &reset,
        };
        let warnings = self.unknown_fields(resource, &patch, options)?;
        let new = merge::apply(resource.schema.as_ref(), old.as_ref(), &patch, &manager, options.force)
            .map_err(|error| match error {
                ApplyError::Conflicts { message, causes, .. } => ApiError::apply_conflict(
                    message,
                    causes
                        .into_iter()
                        .map(|(message, field)| Cause {
                            reason: "FieldManagerConflict".into(),
                            message,
                            field,
                        })
                        .collect(),
                ),
                ApplyError::Malformed(message) => ApiError::bad_request(message),
                ApplyError::Typed(message) => ApiError::internal(message),
            })?;
        let quiet = WriteOptions { validation: FieldValidation::Ignore, ..options.clone() };
        let mut written = match live {
            Some(live) => self.replace(target, &live, new, &quiet, Ownership::Applied)?,
            None => self.create_as(target, new, &quiet, Ownership::Applied)?,
        };
        written.warnings.extend(warnings);
        Ok(written)
    }

    fn create_as(
        &self,
        target: &Target,
        mut new: Value,
        options: &WriteOptions,
        ownership: Ownership,
    ) -> Result<Written, ApiError> {
        let resource = &target.resource;
        identity(target, &mut new)?;
        let warnings = decode(resource, &mut new, options)?;
        let name = name_of(&mut new);
        self.check_namespace(target, &name)?;
        if new["metadata"]["resourceVersion"].as_str().is_some_and(|version| !version.is_empty()) {
            return Err(ApiError::without_reason(
                "resourceVersion should not be set on objects to be created",
            ));
        }
        strategy::metadata_of_new(resource, &mut new);
        if resource.has_status()
            && let Some(map) = new.as_object_mut()
        {
            map.remove("status");
        }
        if resource.custom.is_some() {
            decode(resource, &mut new, &WriteOptions::by(""))?;
        }
        if ownership == Ownership::Update {
            own(target, None, &mut new, options);
        }
        strategy::create(self, resource, &mut new);
        let mut errors = check(resource, &new, None);
        errors.extend(strategy::validate(resource, "", &new, None));
        if errors.is_empty() {
            errors = strategy::allocate(self, resource, &mut new);
        }
        if !errors.is_empty() {
            return Err(invalid(resource, &name, errors));
        }
        let key = Key::new(&target.namespace, &name);
        if options.dry_run {
            if let Some(live) = self.store.get(&resource.collection, &key) {
                return Err(taken(resource, &live));
            }
            return Ok(Written { json: Bytes::from(new.to_string()), created: true, warnings });
        }
        let fields = strategy::fields(resource, &new);
        let stored = self
            .store
            .create(&resource.collection, key, convert::to_storage(resource, new), fields)
            .map_err(|_| match self.store.get(&resource.collection, &Key::new(&target.namespace, &name)) {
                Some(live) => taken(resource, &live),
                None => ApiError::already_exists(resource, &name),
            })?;
        self.after_write(resource, &stored);
        Ok(Written { json: Self::render(resource, &self.newest(stored)), created: true, warnings })
    }

    /// The state after what a write set in motion at once (a definition gets its conditions).
    fn newest(&self, stored: std::sync::Arc<Stored>) -> std::sync::Arc<Stored> {
        self.store.get(&stored.collection, &stored.key).filter(|now| now.uid == stored.uid).unwrap_or(stored)
    }

    fn replace(
        &self,
        target: &Target,
        live: &Stored,
        mut new: Value,
        options: &WriteOptions,
        ownership: Ownership,
    ) -> Result<Written, ApiError> {
        let resource = &target.resource;
        let old = convert::from_storage(resource, live.value());
        let sent = new["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        if !sent.is_empty() && sent != live.revision.to_string() {
            return Err(ApiError::modified(resource, &target.name));
        }
        let sent_uid = new["metadata"]["uid"].as_str().unwrap_or_default();
        if !sent_uid.is_empty() && sent_uid != live.uid {
            let group =
                if resource.custom.is_some() { format!("{}/", resource.group) } else { String::new() };
            let namespace =
                if resource.namespaced { format!("{}/", target.namespace) } else { String::new() };
            let why = format!(
                "StorageError: invalid object, Code: 4, Key: /registry/{group}{}/{namespace}{}, ResourceVersion: 0, \
                 AdditionalErrorMsg: Precondition failed: UID in precondition: {sent_uid}, UID in object meta: {}",
                resource.plural, target.name, live.uid
            );
            return Err(ApiError::conflict(resource, &target.name, &why));
        }
        let warnings = decode(resource, &mut new, options)?;
        if target.subresource == "status" {
            new = strategy::with_status(resource, &old, new);
        } else if resource.has_status()
            && let Some(map) = new.as_object_mut()
        {
            match old.get("status") {
                Some(status) => map.insert("status".into(), status.clone()),
                None => map.remove("status"),
            };
        }
        strategy::metadata_of_known(&old, &mut new);
        if ownership == Ownership::Update {
            own(target, Some(&old), &mut new, options);
        }
        if target.subresource.is_empty() {
            strategy::update(resource, &old, &mut new);
        }
        new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
        // A namespace also waits for its content: its controller removes it.
        let orphaned = live.deleting && finalizers(&new) == 0 && !resource.is("", "namespaces");
        if merge::same_except_times(&old, &new) && !orphaned {
            return Ok(Written { json: Bytes::from(old.to_string()), created: false, warnings });
        }
        strategy::bump_generation(resource, &old, &mut new);
        let mut errors = check(resource, &new, Some(&old));
        errors.extend(strategy::validate(resource, &target.subresource, &new, Some(&old)));
        if errors.is_empty() {
            errors = strategy::allocate(self, resource, &mut new);
        }
        if !errors.is_empty() {
            return Err(invalid(resource, &target.name, errors));
        }
        if options.dry_run {
            return Ok(Written { json: Bytes::from(new.to_string()), created: false, warnings });
        }
        let fields = strategy::fields(resource, &new);
        let key = live.key.clone();
        let written = self.store.update(
            &resource.collection,
            key.clone(),
            live.revision,
            convert::to_storage(resource, new),
            fields,
        );
        let stored = written.map_err(|error| write_error(resource, &target.name, error))?;
        if orphaned {
            let gone = self.store.delete(&resource.collection, &key, stored.revision);
            gone.map_err(|error| write_error(resource, &target.name, error))?;
        }
        self.after_write(resource, &stored);
        Ok(Written { json: Self::render(resource, &self.newest(stored)), created: false, warnings })
    }

    /// 404 or 403 where a namespace takes no new objects.
    fn check_namespace(&self, target: &Target, name: &str) -> Result<(), ApiError> {
        if !target.resource.namespaced {
            return Ok(());
        }
        let namespaces = self.target("", "v1", "namespaces", "", &target.namespace)?;
        let namespace = self.get(&namespaces)?;
        if namespace.deleting {
            return Err(ApiError::namespace_terminating(&target.resource, name, &target.namespace));
        }
        Ok(())
    }

    /// Looks for unknown fields in what someone applies, before it is merged with what others own.
    fn unknown_fields(
        &self,
        resource: &Resource,
        patch: &Value,
        options: &WriteOptions,
    ) -> Result<Vec<String>, ApiError> {
        if options.validation == FieldValidation::Ignore {
            return Ok(Vec::new());
        }
        decode(resource, &mut patch.clone(), options)
    }
}

/// Group, version, kind and names of a body must be those of the request.
fn identity(target: &Target, body: &mut Value) -> Result<(), ApiError> {
    let resource = &target.resource;
    let Some(map) = body.as_object_mut() else {
        return Err(ApiError::bad_request("the request body is not an object"));
    };
    let expected = [("apiVersion", resource.api_version()), ("kind", resource.kind.clone())];
    for (field, want) in expected {
        match map.get(field).and_then(Value::as_str).unwrap_or_default() {
            "" => drop(map.insert(field.into(), want.into())),
            got if got == want => {}
            got if field == "kind" => {
                let message =
                    format!("the kind in the data ({got}) does not match the expected kind ({want})");
                return Err(ApiError::bad_request(message));
            }
            got => {
                let message = format!(
                    "the API version in the data ({got}) does not match the expected API version ({want})"
                );
                return Err(ApiError::bad_request(message));
            }
        }
    }
    let metadata = map.entry("metadata").or_insert_with(|| json!({}));
    if metadata.is_null() {
        *metadata = json!({});
    }
    let Some(metadata) = metadata.as_object_mut() else {
        return Err(ApiError::bad_request("metadata is not an object"));
    };
    if resource.namespaced {
        match metadata.get("namespace").and_then(Value::as_str).unwrap_or_default() {
            "" => drop(metadata.insert("namespace".into(), target.namespace.clone().into())),
            namespace if namespace == target.namespace => {}
            _ => {
                return Err(ApiError::bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request",
                ));
            }
        }
    } else {
        metadata.remove("namespace");
    }
    if !target.name.is_empty() {
        match metadata.get("name").and_then(Value::as_str).unwrap_or_default() {
            "" => drop(metadata.insert("name".into(), target.name.clone().into())),
            name if name == target.name => {}
            name => {
                let message = format!(
                    "the name of the object ({name}) does not match the name on the URL ({})",
                    target.name
                );
                return Err(ApiError::bad_request(message));
            }
        }
    }
    Ok(())
}

/// Types, unknown fields, defaults; gives the warnings.
fn decode(resource: &Resource, object: &mut Value, options: &WriteOptions) -> Result<Vec<String>, ApiError> {
    let Some(schema) = &resource.schema else { return Ok(Vec::new()) };
    let kind = &resource.kind;
    let describe = |why: &dyn std::fmt::Display| {
        format!("{kind} in version \"{}\" cannot be handled as a {kind}: {why}", resource.version)
    };
    let mut unknown =
        validate::decode(schema, object).map_err(|error| ApiError::bad_request(describe(&error)))?;
    defaults::defaults(resource, object);
    match options.validation {
        FieldValidation::Ignore => unknown.clear(),
        FieldValidation::Warn => {}
        FieldValidation::Strict if unknown.is_empty() => {}
        FieldValidation::Strict => {
            let why = format!("strict decoding error: {}", unknown.join(", "));
            return Err(ApiError::bad_request(describe(&why)));
        }
    }
    Ok(unknown)
}

fn own(target: &Target, old: Option<&Value>, new: &mut Value, options: &WriteOptions) {
    let resource = &target.resource;
    let reset = strategy::reset_fields(target);
    let (api_version, time) = (resource.api_version(), now());
    let manager = Manager {
        name: &options.manager,
        api_version: &api_version,
        subresource: &target.subresource,
        now: &time,
        reset: &reset,
    };
    merge::update(resource.schema.as_ref(), old, new, &manager);
}

fn check(resource: &Resource, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = validate::metadata(new, old, resource.namespaced, strategy::name_rule(resource));
    if let (Some(_), Some(schema)) = (&resource.custom, &resource.schema) {
        errors.extend(validate::custom(schema, new, old));
    }
    // Definitions and custom objects are validated by other code, which knows no standard names.
    if resource.custom.is_none() && &*resource.group != "apiextensions.k8s.io" {
        errors.extend(validate::finalizers(new));
    }
    errors
}

fn invalid(resource: &Resource, name: &str, errors: Vec<FieldError>) -> ApiError {
    // Both APIs of events are one to the server, which speaks of the older one.
    let group = if &*resource.group == "events.k8s.io" { "" } else { &resource.group };
    ApiError::invalid(group, &resource.kind, name, errors.into_iter().map(cause).collect())
}

/// A refusal of the parameters of a request.
pub(crate) fn invalid_options(kind: &str, error: FieldError) -> ApiError {
    ApiError::refused_field("meta.k8s.io", kind, error)
}

pub(super) fn cause(error: FieldError) -> Cause {
    Cause { reason: error.reason.to_owned(), message: error.message, field: error.field }
}

fn taken(resource: &Resource, live: &Stored) -> ApiError {
    if live.deleting {
        ApiError::still_going(resource, &live.key.name)
    } else {
        ApiError::already_exists(resource, &live.key.name)
    }
}

pub(super) fn write_error(resource: &Resource, name: &str, error: WriteError) -> ApiError {
    match error {
        WriteError::Exists => ApiError::already_exists(resource, name),
        WriteError::Missing => ApiError::not_found(resource, name),
        WriteError::Changed => ApiError::modified(resource, name),
    }
}

/// The object's name, made up from `generateName` where it has none.
fn name_of(object: &mut Value) -> String {
    let metadata = &mut object["metadata"];
    let prefix = metadata["generateName"].as_str().unwrap_or_default();
    if metadata["name"].as_str().unwrap_or_default().is_empty() && !prefix.is_empty() {
        let cut = prefix.chars().take(58).collect::<String>();
        metadata["name"] = format!("{cut}{}", strategy::suffix()).into();
    }
    metadata["name"].as_str().unwrap_or_default().to_owned()
}

pub(super) fn finalizers(object: &Value) -> usize {
    object["metadata"]["finalizers"].as_array().map_or(0, Vec::len)
}
