//! Requests for resources: each verb read from the wire, and its outcome written back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::negotiate::{self, Accepted, View};
use super::request::{self, Query};
use super::response::{self, Body};
use super::route::ResourcePath;
use super::watch::Watch;
use super::{Context, view};
use crate::api::{
    Api, ApiError, DeleteOptions, FieldValidation, ListOptions, PatchType, Target, WriteOptions, Written,
    invalid_options, must_be_named,
};
use crate::auth::User;
use crate::storage::{FieldSelector, LabelSelector};
use crate::validate::FieldError;

/// Bytes of a field manager's name.
const MAX_MANAGER: usize = 128;

/// A request for a resource, on its way.
pub(super) struct Served<'a> {
    pub(super) context: &'a Arc<Context>,
    pub(super) user: &'a User,
    pub(super) query: &'a Query,
    pub(super) path: ResourcePath,
}

impl Served<'_> {
    fn api(&self) -> &Arc<Api> {
        &self.context.api
    }

    /// Answers the request.
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        graceful: CancellationToken,
    ) -> Result<Response<Body>, ApiError> {
        let path = &self.path;
        let mut target =
            self.api().target(&path.group, &path.version, &path.plural, &path.namespace, &path.name)?;
        target.subresource.clone_from(&path.subresource);
        let known = path.subresource.is_empty() || target.resource.subresource(&path.subresource).is_some();
        let is_scale = path.subresource == "scale"
            && (known || target.resource.custom.as_ref().is_some_and(|custom| custom.scale.is_some()));
        if !known && !is_scale {
            return Err(ApiError::no_such_resource());
        }
        let verb = match *request.method() {
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE if path.name.is_empty() => "deletecollection",
            Method::DELETE => "delete",
            _ if !path.name.is_empty() => "get",
            _ if self.query.is("watch") => "watch",
            _ => "list",
        };
        let of_objects = ["get", "update", "patch", "delete"];
        if !path.name.is_empty()
            && !of_objects.iter().any(|verb| target.resource.allows(verb))
            && path.subresource.is_empty()
        {
            return Err(ApiError::no_such_resource());
        }
        let allowed = match target.resource.subresource(&path.subresource) {
            Some(subresource) => subresource.verbs.iter().any(|allowed| allowed == verb),
            None => is_scale || target.resource.allows(verb),
        };
        if !allowed {
            return Err(ApiError::method_not_allowed());
        }
        let accepted = negotiate::negotiate(request.headers(), self.query.is("pretty"))?;
        let (method, manager) = (request.method().clone(), request::default_manager(request.headers()));
        let content_type = request::content_type(request.headers()).to_owned();
        if method == Method::GET {
            return self.read(&target, accepted, is_scale, graceful);
        }
        let patch_type = match (&method, content_type.as_str()) {
            (&Method::PATCH, "application/json-patch+json") => Some(PatchType::Json),
            (&Method::PATCH, "application/merge-patch+json") => Some(PatchType::Merge),
            (&Method::PATCH, "application/strategic-merge-patch+json") => Some(PatchType::Strategic),
            (&Method::PATCH, "application/apply-patch+yaml") => Some(PatchType::Apply),
            (&Method::PATCH, _) => return Err(ApiError::unknown_patch()),
            _ => None,
        };
        let body = request::body(request.into_body()).await?;
        let mut options = self.write_options(&manager, &method, patch_type)?;
        let request::Decoded { value, duplicates } = match (patch_type, &method) {
            (Some(kind), _) => request::patch(&body, kind)?,
            (None, &Method::DELETE) => request::options(&body, &content_type)?.into(),
            (None, _) => {
                let is_custom = target.resource.custom.is_some() && path.subresource.is_empty();
                request::object(&body, &content_type, &target.resource.kind, is_custom)?
            }
        };
        options.duplicates = duplicates;
        if let Some(answer) = self.review(&target, &method, &value, accepted)? {
            return Ok(answer);
        }
        match method {
            Method::POST if path.name.is_empty() => {
                self.must_name_namespace(&target)?;
                let written = self.api().create(&target, value, &options)?;
                Ok(Self::written(&target, written, accepted))
            }
            Method::POST if target.resource.is("", "serviceaccounts") && path.subresource == "token" => {
                self.token(&target, &value, accepted)
            }
            Method::POST if target.resource.is("", "pods") && path.subresource == "eviction" => {
                target.subresource.clear();
                let how = DeleteOptions::read(&value["deleteOptions"], None, options.dry_run)?;
                self.api().delete(&target, &how)?;
                let done = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
                Ok(response::value(201, &done, accepted.encoding))
            }
            Method::PUT if is_scale => {
                must_be_named(&target, &value)?;
                self.scale(&target, &value, &options, accepted)
            }
            Method::PUT if !path.name.is_empty() => {
                let target = finalize_is_status(target);
                let written = self.api().update(&target, value, &options)?;
                Ok(Self::written(&target, written, accepted))
            }
            Method::PATCH if !path.name.is_empty() => {
                let Some(kind) = patch_type else { return Err(ApiError::unknown_patch()) };
                if is_scale {
                    return self.scale(&target, &value, &options, accepted);
                }
                let written = self.api().patch(&target, kind, &value, &options)?;
                Ok(Self::written(&target, written, accepted))
            }
            Method::DELETE => self.delete(&target, &value, &options, accepted),
            _ => Err(ApiError::method_not_allowed()),
        }
    }

    fn read(
        &self,
        target: &Target,
        accepted: Accepted,
        is_scale: bool,
        graceful: CancellationToken,
    ) -> Result<Response<Body>, ApiError> {
        // Of a single object there is no watch but a list with one name.
        if !target.name.is_empty() {
            let stored = self.api().get(target)?;
            match target.subresource.as_str() {
                "" | "status" | "scale" | "finalize" => {}
                "log" => return Ok(response::text(200, "")), // nothing runs, so nothing is said
                _ => return Err(ApiError::method_not_allowed()),
            }
            if is_scale {
                return Ok(response::value(200, &scale_of(target, &stored.value()), accepted.encoding));
            }
            let json = view::object(&target.resource, &Api::render(&target.resource, &stored), accepted.view);
            return Ok(warned(target, response::object(200, json, accepted.encoding)));
        }
        let options = self.list_options()?;
        target.resource.check_fields(&options.fields)?;
        if !self.query.is("watch") {
            let version = &options.resource_version;
            if !version.is_empty() && version.parse::<u64>().is_err() {
                let why = unreadable_version(version);
                return Err(ApiError::bad_request(format!("invalid resource version: {why}")));
            }
            let page = self.api().list(target, &options)?;
            let json = view::list(&target.resource, &page, accepted.view);
            return Ok(warned(target, response::object(200, json, accepted.encoding)));
        }
        if !matches!(options.resource_version.as_str(), "" | "0")
            && options.resource_version.parse::<u64>().is_err()
        {
            return Err(ApiError::without_reason(unreadable_version(&options.resource_version)));
        }
        let wanted = self.query.get("timeoutSeconds").parse::<u64>().ok().filter(|seconds| *seconds > 0);
        let seconds = wanted.unwrap_or_else(|| rand::random_range(1800..3600));
        let watch = Watch {
            api: self.api().clone(),
            resource: target.resource.clone(),
            query: Api::query(target, &options),
            view: accepted.view,
            resource_version: options.resource_version.clone(),
            initial_events: self.query.is("sendInitialEvents"),
            bookmarks: self.query.is("allowWatchBookmarks"),
            timeout: Duration::from_secs(seconds),
        };
        Ok(watch.response(graceful))
    }

    fn delete(
        &self,
        target: &Target,
        body: &Value,
        options: &WriteOptions,
        accepted: Accepted,
    ) -> Result<Response<Body>, ApiError> {
        let propagation = Some(self.query.get("propagationPolicy")).filter(|policy| !policy.is_empty());
        let how = DeleteOptions::read(body, propagation, options.dry_run)?;
        if !target.name.is_empty() {
            return Ok(response::object(200, self.api().delete(target, &how)?, accepted.encoding));
        }
        let page = self.api().list(target, &self.list_options()?)?;
        for stored in &page.objects {
            let one = Target::new(target.resource.clone(), &stored.key.namespace, &stored.key.name);
            match self.api().delete(&one, &how) {
                Err(error) if !error.is_not_found() => return Err(error),
                _ => {}
            }
        }
        Ok(response::object(200, view::list(&target.resource, &page, View::Object), accepted.encoding))
    }

    /// `scale` of workloads: reads and writes the number of replicas.
    fn scale(
        &self,
        target: &Target,
        body: &Value,
        options: &WriteOptions,
        accepted: Accepted,
    ) -> Result<Response<Body>, ApiError> {
        let replicas = body["spec"].get("replicas").cloned().unwrap_or_else(|| 0.into());
        if replicas.as_i64().is_some_and(|replicas| replicas < 0) {
            let why = "must be greater than or equal to 0";
            let error = FieldError::invalid("spec.replicas", &replicas, why);
            return Err(ApiError::refused_object("autoscaling", "Scale", &target.name, error));
        }
        let path = match target.resource.custom.as_ref().and_then(|custom| custom.scale.as_ref()) {
            Some(scale) => scale.spec.clone(),
            None => ".spec.replicas".to_owned(),
        };
        let patch =
            path.trim_start_matches('.').rsplit('.').fold(replicas, |value, name| json!({name: value}));
        let written = self.api().patch(target, PatchType::Merge, &patch, options)?;
        let object: Value = serde_json::from_slice(&written.json).unwrap_or_default();
        Ok(response::value(200, &scale_of(target, &object), accepted.encoding))
    }

    /// A token for a service account.
    fn token(&self, target: &Target, body: &Value, accepted: Accepted) -> Result<Response<Body>, ApiError> {
        let account = self.api().get(target)?;
        let wanted = &body["spec"]["expirationSeconds"];
        if wanted.as_i64().is_some_and(|seconds| seconds < 600) {
            let why = "may not specify a duration less than 10 minutes";
            let error = FieldError::invalid("spec.expirationSeconds", wanted, why);
            return Err(ApiError::refused_field("authentication.k8s.io", "TokenRequest", error));
        }
        let seconds = body["spec"]["expirationSeconds"].as_u64().unwrap_or(3600).max(600);
        let audiences: Vec<String> = body["spec"]["audiences"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|a| a.as_str().map(str::to_owned))
            .collect();
        let issued = self.context.authenticator.issue(
            &target.namespace,
            &target.name,
            &account.uid,
            Duration::from_secs(seconds),
            &audiences,
        );
        let mut answer = body.clone();
        answer["apiVersion"] = "authentication.k8s.io/v1".into();
        answer["kind"] = "TokenRequest".into();
        answer["metadata"]["name"] = target.name.as_str().into();
        answer["metadata"]["namespace"] = target.namespace.as_str().into();
        answer["spec"]["boundObjectRef"] = body["spec"]["boundObjectRef"].clone();
        answer["status"] = json!({"token": issued.token, "expirationTimestamp": issued.expires});
        Ok(response::value(201, &answer, accepted.encoding))
    }

    /// Reviews are created but not kept: they are questions about access.
    fn review(
        &self,
        target: &Target,
        method: &Method,
        body: &Value,
        accepted: Accepted,
    ) -> Result<Option<Response<Body>>, ApiError> {
        if *method != Method::POST {
            return Ok(None);
        }
        let mut answer = body.clone();
        answer["apiVersion"] = target.resource.api_version().into();
        answer["kind"] = target.resource.kind.as_str().into();
        match (&*target.resource.group, &*target.resource.plural) {
            ("authentication.k8s.io", "selfsubjectreviews") => {
                answer["status"] = json!({"userInfo": self.user.to_value()});
                return Ok(Some(response::value(201, &answer, accepted.encoding)));
            }
            ("authentication.k8s.io", "tokenreviews") => {
                let token = body["spec"]["token"].as_str().unwrap_or_default();
                answer["status"] = match self.context.authenticator.by_token(token) {
                    Some(user) => json!({"authenticated": true, "user": user.to_value()}),
                    None => json!({"error": "invalid bearer token"}),
                };
                return Ok(Some(response::value(201, &answer, accepted.encoding)));
            }
            ("authorization.k8s.io", "selfsubjectrulesreviews") => {
                let namespace = body["spec"]["namespace"].as_str().unwrap_or_default();
                let (resources, paths) = crate::auth::rules(self.api(), self.user, namespace);
                answer["status"] =
                    json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false});
                return Ok(Some(response::value(201, &answer, accepted.encoding)));
            }
            ("authorization.k8s.io", _) => {}
            _ => return Ok(None),
        }
        if let Some(error) = unanswerable(target, &body["spec"]) {
            return Err(ApiError::refused_field("authorization.k8s.io", "", error));
        }
        let who = match &*target.resource.plural {
            "selfsubjectaccessreviews" => self.user.clone(),
            _ => User::from_review(&body["spec"]),
        };
        let allowed = crate::auth::review(self.api(), &who, &body["spec"]);
        answer["status"] = json!({"allowed": allowed});
        Ok(Some(response::value(201, &answer, accepted.encoding)))
    }

    fn must_name_namespace(&self, target: &Target) -> Result<(), ApiError> {
        if target.resource.namespaced && target.namespace.is_empty() {
            return Err(ApiError::method_not_allowed());
        }
        Ok(())
    }

    fn write_options(
        &self,
        manager: &str,
        method: &Method,
        patch: Option<PatchType>,
    ) -> Result<WriteOptions, ApiError> {
        let kind = match *method {
            Method::POST => "CreateOptions",
            Method::PUT => "UpdateOptions",
            Method::PATCH => "PatchOptions",
            _ => "DeleteOptions",
        };
        let dry_run = self.query.get("dryRun");
        if !matches!(dry_run, "" | "All") {
            let error = FieldError::not_supported("dryRun", &json!([dry_run]), &["All"]);
            return Err(invalid_options(kind, error));
        }
        let named = self.query.get("fieldManager");
        let applies = patch == Some(PatchType::Apply);
        let problem = if named.len() > MAX_MANAGER {
            Some(FieldError::too_long("fieldManager", MAX_MANAGER as u64))
        } else if applies && named.is_empty() {
            Some(FieldError::required("fieldManager", "is required for apply patch"))
        } else if !applies && patch.is_some() && !self.query.get("force").is_empty() {
            Some(FieldError::forbidden("force", "may not be specified for non-apply patch"))
        } else {
            None
        };
        if let Some(problem) = problem {
            return Err(invalid_options(kind, problem));
        }
        let validation = match self.query.get("fieldValidation") {
            "Strict" => FieldValidation::Strict,
            "Ignore" => FieldValidation::Ignore,
            "" | "Warn" => FieldValidation::Warn,
            other => {
                let known = ["", "Ignore", "Strict", "Warn"];
                let error = FieldError::not_supported("fieldValidation", other, &known);
                return Err(invalid_options(kind, error));
            }
        };
        Ok(WriteOptions {
            manager: if named.is_empty() { manager.to_owned() } else { named.to_owned() },
            dry_run: !dry_run.is_empty(),
            force: self.query.is("force"),
            validation,
            duplicates: Vec::new(),
            user: Some(self.user.clone()),
        })
    }

    fn list_options(&self) -> Result<ListOptions, ApiError> {
        let bad = |error: &dyn std::fmt::Display| ApiError::bad_request(error.to_string());
        for name in ["limit", "timeoutSeconds"] {
            let text = self.query.get(name);
            if !text.is_empty() && text.parse::<i64>().is_err() {
                return Err(bad(&format!("strconv.ParseInt: parsing {text:?}: invalid syntax")));
            }
        }
        if let Some(problem) = self.contradiction() {
            return Err(invalid_options("ListOptions", problem));
        }
        Ok(ListOptions {
            labels: LabelSelector::parse(self.query.get("labelSelector")).map_err(|error| bad(&error))?,
            fields: FieldSelector::parse(self.query.get("fieldSelector")).map_err(|error| bad(&error))?,
            limit: self.query.get("limit").parse().unwrap_or(0),
            continue_token: self.query.get("continue").to_owned(),
            resource_version: self.query.get("resourceVersion").to_owned(),
            exact: self.query.get("resourceVersionMatch") == "Exact",
        })
    }

    /// Parameters of a list or watch that do not go together.
    fn contradiction(&self) -> Option<FieldError> {
        const FIELD: &str = "resourceVersionMatch";
        let (version, matching) = (self.query.get("resourceVersion"), self.query.get(FIELD));
        let initial = self.query.get("sendInitialEvents");
        let forbidden = |why: &str| Some(FieldError::forbidden(FIELD, why));
        if self.query.is("watch") {
            return match (initial.is_empty(), matching) {
                (true, "") => None,
                (true, _) => forbidden(
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                ),
                (false, "NotOlderThan") => None,
                (false, _) => {
                    forbidden("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
                }
            };
        }
        if !initial.is_empty() {
            return Some(FieldError::forbidden(
                "sendInitialEvents",
                "sendInitialEvents is forbidden for list",
            ));
        }
        match matching {
            "" => None,
            _ if version.is_empty() => {
                forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided")
            }
            _ if !self.query.get("continue").is_empty() => {
                forbidden("resourceVersionMatch is forbidden when continue is provided")
            }
            "Exact" if version == "0" => {
                forbidden("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"")
            }
            "Exact" | "NotOlderThan" => None,
            other => {
                Some(FieldError::not_supported(FIELD, &Value::from(other), &["Exact", "NotOlderThan", ""]))
            }
        }
    }

    fn written(target: &Target, mut written: Written, accepted: Accepted) -> Response<Body> {
        written
            .warnings
            .extend(target.resource.custom.as_ref().and_then(|custom| custom.deprecation.clone()));
        let code = if written.created { 201 } else { 200 };
        let json: Bytes = view::object(&target.resource, &written.json, accepted.view);
        response::with_warnings(response::object(code, json, accepted.encoding), &written.warnings)
    }
}

/// Why a question about access has no answer.
fn unanswerable(target: &Target, spec: &Value) -> Option<FieldError> {
    let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    if resource.is_object() == path.is_object() {
        let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        return Some(FieldError::invalid("spec.resourceAttributes", &Value::Null, why));
    }
    if &*target.resource.plural == "selfsubjectaccessreviews" {
        return None;
    }
    let has_groups = spec["groups"].as_array().is_some_and(|groups| !groups.is_empty());
    if spec["user"].as_str().unwrap_or_default().is_empty() && !has_groups {
        return Some(FieldError::invalid_text(
            "spec.user",
            "",
            "at least one of user or group must be specified",
        ));
    }
    let namespace = resource["namespace"].as_str().unwrap_or_default();
    if &*target.resource.plural == "localsubjectaccessreviews" && namespace != target.namespace {
        let field = "spec.resourceAttributes.namespace";
        return Some(FieldError::invalid_text(field, namespace, "must match metadata.namespace"));
    }
    None
}

/// Warns whoever reads in a version that is on its way out.
fn warned(target: &Target, response: Response<Body>) -> Response<Body> {
    let warning = target.resource.custom.as_ref().and_then(|custom| custom.deprecation.as_ref());
    response::with_warnings(response, warning.map(std::slice::from_ref).unwrap_or_default())
}

/// Why a resource version cannot be read.
fn unreadable_version(text: &str) -> String {
    format!("resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax")
}

/// `finalize` of a namespace writes what `status` would.
fn finalize_is_status(mut target: Target) -> Target {
    if target.subresource == "finalize" {
        "status".clone_into(&mut target.subresource);
    }
    target
}

fn scale_of(target: &Target, object: &Value) -> Value {
    let at =
        |path: &str| path.trim_start_matches('.').split('.').fold(object, |value, name| &value[name]).clone();
    let (spec, status) = match target.resource.custom.as_ref().and_then(|custom| custom.scale.as_ref()) {
        Some(scale) => (at(&scale.spec), at(&scale.status)),
        None => (at(".spec.replicas"), at(".status.replicas")),
    };
    let selector = object["spec"]["selector"]["matchLabels"].as_object().map(|labels| {
        labels
            .iter()
            .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join(",")
    });
    let of_custom =
        target.resource.custom.as_ref().and_then(|custom| custom.scale.as_ref()?.selector.as_deref());
    let selector = of_custom.map_or(selector, |path| at(path).as_str().map(str::to_owned));
    let metadata = &object["metadata"];
    let mut scale = json!({
        "apiVersion": "autoscaling/v1", "kind": "Scale",
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"],
                     "resourceVersion": metadata["resourceVersion"], "creationTimestamp": metadata["creationTimestamp"]},
        "spec": {},
        "status": {"replicas": status.as_i64().unwrap_or(0)},
    });
    if let Some(replicas) = spec.as_i64().filter(|replicas| *replicas != 0) {
        scale["spec"]["replicas"] = replicas.into();
    }
    if let Some(selector) = selector.filter(|selector| !selector.is_empty()) {
        scale["status"]["selector"] = selector.into();
    }
    scale
}
