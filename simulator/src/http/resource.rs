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
    invalid_options,
};
use crate::auth::User;
use crate::storage::{FieldSelector, LabelSelector};
use crate::validate::FieldError;

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
            _ if self.query.is("watch") => "watch",
            _ if path.name.is_empty() => "list",
            _ => "get",
        };
        if path.subresource.is_empty() && !target.resource.allows(verb) {
            return Err(ApiError::method_not_allowed());
        }
        let accepted = negotiate::negotiate(request.headers(), self.query.is("pretty"))?;
        let (method, manager) = (request.method().clone(), request::default_manager(request.headers()));
        let content_type = request::content_type(request.headers()).to_owned();
        if method == Method::GET {
            return self.read(&target, accepted, is_scale, graceful);
        }
        let body = request::body(request.into_body()).await?;
        let value = request::decode(&body, &content_type)?;
        let options = self.write_options(&manager, &method)?;
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
            Method::PUT if is_scale => self.scale(&target, &value, &options, accepted),
            Method::PUT if !path.name.is_empty() => {
                let target = finalize_is_status(target);
                let written = self.api().update(&target, value, &options)?;
                Ok(Self::written(&target, written, accepted))
            }
            Method::PATCH if !path.name.is_empty() => {
                let kind = match content_type.as_str() {
                    "application/json-patch+json" => PatchType::Json,
                    "application/merge-patch+json" => PatchType::Merge,
                    "application/strategic-merge-patch+json" => PatchType::Strategic,
                    "application/apply-patch+yaml" | "application/apply-patch+json" => PatchType::Apply,
                    _ => {
                        return Err(ApiError::unsupported_media_type(
                            "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml",
                        ));
                    }
                };
                if is_scale {
                    return self.scale(&target, &value, &options, accepted);
                }
                let mut options = options;
                if kind == PatchType::Apply {
                    self.query.get("fieldManager").clone_into(&mut options.manager);
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
        if !target.name.is_empty() && !self.query.is("watch") {
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
            return Ok(response::object(200, json, accepted.encoding));
        }
        let mut options = self.list_options()?;
        target.resource.check_fields(&options.fields)?;
        if !target.name.is_empty() {
            options.fields =
                FieldSelector::parse(&format!("metadata.name={}", target.name)).unwrap_or_default();
        }
        if !self.query.is("watch") {
            let page = self.api().list(target, &options)?;
            return Ok(response::object(
                200,
                view::list(&target.resource, &page, accepted.view),
                accepted.encoding,
            ));
        }
        let seconds = self
            .query
            .get("timeoutSeconds")
            .parse::<u64>()
            .unwrap_or_else(|_| rand::random_range(1800..3600));
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
        let replicas = body["spec"]["replicas"].clone();
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

    fn write_options(&self, manager: &str, method: &Method) -> Result<WriteOptions, ApiError> {
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
        })
    }

    fn list_options(&self) -> Result<ListOptions, ApiError> {
        let bad = |error: &dyn std::fmt::Display| ApiError::bad_request(error.to_string());
        Ok(ListOptions {
            labels: LabelSelector::parse(self.query.get("labelSelector")).map_err(|error| bad(&error))?,
            fields: FieldSelector::parse(self.query.get("fieldSelector")).map_err(|error| bad(&error))?,
            limit: self.query.get("limit").parse().unwrap_or(0),
            continue_token: self.query.get("continue").to_owned(),
            resource_version: self.query.get("resourceVersion").to_owned(),
            exact: self.query.get("resourceVersionMatch") == "Exact",
        })
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
    json!({
        "apiVersion": "autoscaling/v1", "kind": "Scale",
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"],
                     "resourceVersion": metadata["resourceVersion"], "creationTimestamp": metadata["creationTimestamp"]},
        "spec": {"replicas": spec.as_i64().unwrap_or(0)},
        "status": {"replicas": status.as_i64().unwrap_or(0), "selector": selector.unwrap_or_default()},
    })
}
