//! Writes: create, update, the four patches, and the `status` subresource.

use bytes::Bytes;
use serde_json::{Value, json};

use super::body::{Misfit, Reader, check_names, decode};
use super::status::Cause;
use super::{Api, ApiError, Resource, Target, convert, now, strategy};
use crate::auth::{self, User};
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
    /// The paths of fields that the body has twice.
    pub(crate) duplicates: Vec<String>,
    /// Who writes; nobody where the cluster itself does.
    pub(crate) user: Option<User>,
}

impl WriteOptions {
    /// A real write by a field manager, without complaints about unknown fields.
    pub(crate) fn by(manager: &str) -> Self {
        Self {
            manager: manager.to_owned(),
            dry_run: false,
            force: true,
            validation: FieldValidation::Ignore,
            duplicates: Vec::new(),
            user: None,
        }
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
        let mut body = body;
        self.fit(target, &mut body)?;
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
        let mut new = body;
        must_be_named(target, &new)?;
        self.fit(target, &mut new)?;
        let live = self.get(target)?;
        let version = new["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        let conditional =
            target.resource.custom.is_some() || target.resource.is("coordination.k8s.io", "leases");
        if version.is_empty() && conditional {
            let error =
                FieldError::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
            let (group, plural) = (&target.resource.group, &target.resource.plural);
            return Err(ApiError::invalid(group, plural, &target.name, vec![cause(error)]));
        }
        self.replace(target, &live, new, options, Ownership::Update, &Reader::Body(None))
    }

    /// Kind, names and namespace of a body must be those of the request.
    fn fit(&self, target: &Target, body: &mut Value) -> Result<(), ApiError> {
        let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        let found = (text("kind"), text("apiVersion"));
        match self.check_types(target, body) {
            Ok(()) => check_names(target, body),
            Err(Misfit::Refused(error)) => Err(error),
            Err(Misfit::Unreadable(why)) => {
                let own = target.resource.api_version();
                let kind = if found.0.is_empty() { &target.resource.kind } else { &found.0 };
                let version = if found.1.is_empty() { &own } else { &found.1 };
                Err(Reader::Body(Some((kind, version))).refuse(&target.resource, &why))
            }
        }
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
            PatchError::Unprocessable(_) => ApiError::unprocessable(),
            PatchError::Unfit(message) => ApiError::without_reason(message),
        })?;
        let patched = || {
            let again = match kind {
                PatchType::Json => merge::patch_json(&old, patch),
                _ => merge::patch_merge(&old, patch),
            };
            again.unwrap_or_default()
        };
        let reader = match kind {
            PatchType::Strategic => Reader::Strategic(patch),
            _ => Reader::Patched(&patched),
        };
        match self.check_types(target, &mut new) {
            Ok(()) => check_names(target, &mut new)?,
            Err(Misfit::Refused(error)) => return Err(error),
            Err(Misfit::Unreadable(why)) => return Err(reader.refuse(&target.resource, &why)),
        }
        self.replace(target, &live, new, options, Ownership::Update, &reader)
    }

    fn apply(&self, target: &Target, patch: &Value, options: &WriteOptions) -> Result<Written, ApiError> {
        let resource = &target.resource;
        let (api_version, time) = (resource.api_version(), now());
        let text = |field: &str| patch[field].as_str().unwrap_or_default();
        if text("apiVersion") != api_version || text("kind") != resource.kind {
            let (version, kind) = (text("apiVersion"), text("kind"));
            let slash = if version.contains('/') { "" } else { "/" };
            return Err(ApiError::bad_request(format!("invalid object type: {slash}{version}, Kind={kind}")));
        }
        let mut patch = patch.clone();
        let named_namespace = patch["metadata"]["namespace"].is_string();
        check_names(target, &mut patch)?;
        if !named_namespace && let Some(metadata) = patch["metadata"].as_object_mut() {
            metadata.remove("namespace");
        }
        let live = match self.get(target) {
            Ok(live) => Some(live),
            Err(error) if error.is_not_found() && target.subresource.is_empty() => None,
            Err(error) => return Err(error),
        };
        let old = live.as_ref().map(|live| convert::from_storage(resource, live.value()));
        let reset = strategy::reset_fields(target);
        let manager = Manager {
            name: &options.manager,
            api_version: &api_version,
            subresource: &target.subresource,
            now: &time,
            reset: &reset,
        };
        let mut new = merge::apply(resource.schema.as_ref(), old.as_ref(), &patch, &manager, options.force)
            .map_err(|error| match error {
            ApplyError::Conflicts { message, causes, .. } => ApiError::apply_conflict(
                message,
                causes
                    .into_iter()
                    .map(|(message, field)| Cause { reason: "FieldManagerConflict".into(), message, field })
                    .collect(),
            ),
            ApplyError::Malformed(message) => ApiError::bad_request(message),
            ApplyError::Typed(message) => ApiError::without_reason(message),
        })?;
        check_names(target, &mut new)?;
        let quiet = WriteOptions { validation: FieldValidation::Ignore, ..options.clone() };
        match live {
            Some(live) => self.replace(target, &live, new, &quiet, Ownership::Applied, &Reader::Body(None)),
            None => {
                let uid = new["metadata"]["uid"].as_str().unwrap_or_default();
                if !uid.is_empty() {
                    let why = format!(
                        "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                    );
                    return Err(ApiError::conflict(resource, &target.name, &why));
                }
                if let Some(metadata) = new["metadata"].as_object_mut() {
                    metadata.remove("resourceVersion");
                }
                self.create_as(target, new, &quiet, Ownership::Applied)
            }
        }
    }

    fn create_as(
        &self,
        target: &Target,
        mut new: Value,
        options: &WriteOptions,
        ownership: Ownership,
    ) -> Result<Written, ApiError> {
        let resource = &target.resource;
        let refuse = |why: String| Reader::Body(None).refuse(resource, &why);
        let labels = new["metadata"]["labels"].as_object();
        let is_labelled = labels.is_some_and(|labels| !labels.is_empty());
        let mut warnings = decode(resource, &mut new, options).map_err(refuse)?;
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
            decode(resource, &mut new, &WriteOptions::by("")).map_err(refuse)?;
        }
        if ownership == Ownership::Update {
            own(target, None, &mut new, options);
        }
        strategy::create(self, resource, &mut new, is_labelled);
        warnings.extend(strategy::warnings(resource, "", &new, None));
        let mut errors = check(resource, &new, None);
        errors.extend(strategy::validate(resource, "", &new, None));
        if errors.is_empty() {
            errors = strategy::allocate(self, resource, &mut new);
        }
        if !errors.is_empty() {
            return Err(invalid(resource, &name, errors));
        }
        self.check_escalation(resource, &new, None, options)?;
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
        Ok(Written { json: Self::render(resource, &stored), created: true, warnings })
    }

    fn check_escalation(
        &self,
        resource: &Resource,
        new: &Value,
        old: Option<&Value>,
        options: &WriteOptions,
    ) -> Result<(), ApiError> {
        match &options.user {
            Some(user) => auth::check_escalation(self, user, resource, new, old),
            None => Ok(()),
        }
    }

    fn replace(
        &self,
        target: &Target,
        live: &Stored,
        mut new: Value,
        options: &WriteOptions,
        ownership: Ownership,
        reader: &Reader<'_>,
    ) -> Result<Written, ApiError> {
        let resource = &target.resource;
        let old = convert::from_storage(resource, live.value());
        let mut warnings =
            decode(resource, &mut new, options).map_err(|why| reader.refuse(resource, &why))?;
        let sent = new["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        // Zero stands for any.
        if !matches!(sent.as_str(), "" | "0") && sent != live.revision.to_string() {
            if sent.parse::<u64>().is_err() {
                let why = format!("strconv.ParseUint: parsing {sent:?}: invalid syntax");
                return Err(ApiError::without_reason(why));
            }
            return Err(ApiError::modified(resource, &target.name));
        }
        let sent_uid = new["metadata"]["uid"].as_str().unwrap_or_default();
        // An update names what it is for; a patch only changes a field that it may not.
        if matches!(reader, Reader::Body(_)) && !sent_uid.is_empty() && sent_uid != live.uid {
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
        warnings.extend(strategy::warnings(resource, &target.subresource, &new, Some(&old)));
        let mut errors = check(resource, &new, Some(&old));
        errors.extend(strategy::validate(resource, &target.subresource, &new, Some(&old)));
        if errors.is_empty() {
            errors = strategy::allocate(self, resource, &mut new);
        }
        if !errors.is_empty() {
            return Err(invalid(resource, &target.name, errors));
        }
        self.check_escalation(resource, &new, Some(&old), options)?;
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
            let gone = gone.map_err(|error| write_error(resource, &target.name, error))?;
            self.after_removal(&gone);
        }
        self.after_write(resource, &stored);
        Ok(Written { json: Self::render(resource, &stored), created: false, warnings })
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
}

/// An update says which object it is.
pub(crate) fn must_be_named(target: &Target, body: &Value) -> Result<(), ApiError> {
    let name = body.get("metadata").and_then(|metadata| metadata.get("name"));
    if name.is_none_or(|name| name.as_str() == Some("")) {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({} based on URL) was undeterminable: name must be provided",
            target.name
        )));
    }
    Ok(())
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
    if let Some(old) = old {
        // Upstream looks twice: for every kind, and within the validation of the kind.
        errors.extend(validate::identity(&new["metadata"], &old["metadata"]));
    }
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
