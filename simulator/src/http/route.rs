//! From a request to its answer: who asks, for what, and may they.

use std::sync::Arc;

use http::{Method, Request, Response};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;

use super::negotiate::{self, Encoding};
use super::request::Query;
use super::response::{self, Body};
use super::{Context, discovery, resource};
use crate::api::ApiError;
use crate::auth::Attributes;

/// Serves one request.
pub(super) async fn serve(
    context: Arc<Context>,
    request: Request<Incoming>,
    graceful: CancellationToken,
) -> Response<Body> {
    if context.observer.is_some() || context.gate.is_some() {
        let agent = request.headers().get(http::header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        let seen = crate::Request {
            method: request.method().to_string(),
            uri: request.uri().to_string(),
            user_agent: agent.unwrap_or_default().to_owned(),
        };
        if let Some(observer) = &context.observer {
            observer(&seen);
        }
        if context.gate.as_ref().is_some_and(|serves| !serves(&seen)) {
            // Dropped with its connection.
            std::future::pending::<()>().await;
        }
    }
    let outcome = answer(&context, request, graceful).await;
    outcome.unwrap_or_else(|error| response::status(&error, Encoding::Json))
}

async fn answer(
    context: &Arc<Context>,
    request: Request<Incoming>,
    graceful: CancellationToken,
) -> Result<Response<Body>, ApiError> {
    let path = request.uri().path().to_owned();
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    if let ["healthz" | "livez" | "readyz", ..] = segments.as_slice() {
        return Ok(response::text(200, "ok"));
    }
    let user = context.authenticator.identify(request.headers())?;
    let query = Query::read(request.uri().query());
    let pretty = query.is("pretty");
    let resource_path = ResourcePath::parse(&segments);
    let attributes = attributes(&resource_path, request.method(), &query, &path);
    for (who, what) in user.to_authorize(&attributes) {
        crate::auth::authorize(&context.api, &who, &what)?;
    }
    match resource_path {
        Some(found) if !context.api.registry.served().knows(&found.group) => {
            Ok(response::text(404, "404 page not found\n"))
        }
        Some(found) => {
            let served = resource::Served { context, user: &user.acting, query: &query, path: found };
            served.answer(request, graceful).await
        }
        None => {
            let encoding = if pretty { Encoding::PrettyJson } else { Encoding::Json };
            discovery::answer(context, &segments, request.headers(), encoding)
                .ok_or_else(|| {
                    let acceptable = negotiate::negotiate(request.headers(), pretty);
                    acceptable.err().unwrap_or_else(ApiError::no_such_resource)
                })
                .or_else(|error| match (error.is_not_found(), segments.as_slice()) {
                    // A version that a group does not have is answered by the group.
                    (true, ["api", ..]) => Err(error),
                    (true, ["apis", group, _, ..]) if context.api.registry.served().knows(group) => {
                        Err(error)
                    }
                    (true, _) => Ok(response::text(404, "404 page not found\n")),
                    (false, _) => Err(error),
                })
        }
    }
}

/// The parts of `/apis/GROUP/VERSION/namespaces/NS/PLURAL/NAME/SUBRESOURCE`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ResourcePath {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) namespace: String,
    pub(super) plural: String,
    pub(super) name: String,
    pub(super) subresource: String,
}

impl ResourcePath {
    fn parse(segments: &[&str]) -> Option<Self> {
        let (group, version, rest) = match segments {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => ("", rest),
            ["namespaces", namespace, rest @ ..] => (*namespace, rest),
            rest => ("", rest),
        };
        let [plural, rest @ ..] = rest else { return None };
        let (name, subresource) = match rest {
            [] => ("", ""),
            [name] => (*name, ""),
            [name, subresource] => (*name, *subresource),
            _ => return None,
        };
        Some(Self {
            group: group.into(),
            version: version.into(),
            namespace: namespace.into(),
            plural: (*plural).into(),
            name: name.into(),
            subresource: subresource.into(),
        })
    }
}

fn attributes(path: &Option<ResourcePath>, method: &Method, query: &Query, whole: &str) -> Attributes {
    let Some(path) = path else {
        return Attributes {
            verb: method.as_str().to_lowercase(),
            path: whole.to_owned(),
            ..Attributes::default()
        };
    };
    let verb = match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if path.name.is_empty() => "deletecollection",
        Method::DELETE => "delete",
        // The path is a get; who may watch is asked as if it were a watch.
        _ if query.is("watch") => "watch",
        _ if path.name.is_empty() => "list",
        _ => "get",
    };
    let resource = if path.subresource.is_empty() {
        path.plural.clone()
    } else {
        format!("{}/{}", path.plural, path.subresource)
    };
    // Who lists one name asks for that object.
    let selected =
        query.get("fieldSelector").strip_prefix("metadata.name=").filter(|name| !name.contains(','));
    let selected = selected.filter(|_| matches!(verb, "list" | "watch" | "deletecollection"));
    Attributes {
        verb: verb.into(),
        group: path.group.clone(),
        resource,
        namespace: path.namespace.clone(),
        name: selected.map_or_else(|| path.name.clone(), str::to_owned),
        path: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_resources() {
        for (path, want) in [
            ("/api/v1/namespaces", Some(("", "", "namespaces", "", ""))),
            ("/api/v1/namespaces/x", Some(("", "", "namespaces", "x", ""))),
            ("/api/v1/namespaces/x/status", Some(("", "", "namespaces", "x", "status"))),
            ("/api/v1/namespaces/x/pods", Some(("", "x", "pods", "", ""))),
            (
                "/apis/apps/v1/namespaces/x/deployments/d/scale",
                Some(("apps", "x", "deployments", "d", "scale")),
            ),
            ("/apis/apps/v1/deployments", Some(("apps", "", "deployments", "", ""))),
            ("/apis/apps/v1", None),
            ("/version", None),
        ] {
            let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
            let got = ResourcePath::parse(&segments);
            let got = got.as_ref().map(|p| (&*p.group, &*p.namespace, &*p.plural, &*p.name, &*p.subresource));
            assert_eq!(got, want, "{path}");
        }
    }
}
