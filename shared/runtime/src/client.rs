//! Clients made from another client: counted, or impersonating, over the same connections.
//!
//! Flux builds a client with its own connections per pass. Here every identity shares one HTTP/2 pool; what differs is
//! a header.

use crate::metrics::Metrics;
use http::{HeaderValue, Request, Response};
use kube::Client;
use kube::client::Body;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Most identities that are remembered at a time.
const MAX_IDENTITIES: usize = 1024;

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("user name {user:?} cannot be sent as an HTTP header")]
pub struct ImpersonateError {
    user: String,
}

/// A client that counts each request in `rest_client_requests_total`.
///
/// Must be called within a tokio runtime.
pub fn counted(base: Client, metrics: &Metrics, host: &str) -> Client {
    let namespace = base.default_namespace().to_owned();
    let (metrics, host): (Metrics, Arc<str>) = (metrics.clone(), host.into());
    let service = tower::service_fn(move |request: Request<Body>| {
        let (base, metrics, host) = (base.clone(), metrics.clone(), host.clone());
        async move {
            let method = request.method().clone();
            let answer: kube::Result<Response<Body>> = base.send(request).await;
            match &answer {
                Ok(response) => metrics.request(response.status().as_str(), method.as_str(), &host),
                Err(_) => metrics.request("<error>", method.as_str(), &host),
            }
            answer
        }
    });
    Client::new(service, namespace)
}

/// A client whose requests run as another user (user only: the API server derives a service account's groups).
///
/// Must be called within a tokio runtime.
///
/// # Errors
/// A user name with control characters.
pub fn impersonating(base: Client, user: &str) -> Result<Client, ImpersonateError> {
    let header = HeaderValue::from_str(user).map_err(|_| ImpersonateError { user: user.to_owned() })?;
    let namespace = base.default_namespace().to_owned();
    let service = tower::service_fn(move |mut request: Request<Body>| {
        let base = base.clone();
        request.headers_mut().insert("Impersonate-User", header.clone());
        async move { base.send(request).await }
    });
    Ok(Client::new(service, namespace))
}

/// One client per identity of one cluster. Cheap to clone.
#[derive(Clone)]
pub struct Identities {
    base: Client,
    by_user: Arc<Mutex<HashMap<String, Client>>>,
}

impl std::fmt::Debug for Identities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identities").field("users", &self.by_user.lock().len()).finish_non_exhaustive()
    }
}

impl Identities {
    /// Identities over the connections of `base`.
    pub fn new(base: Client) -> Self {
        Self { base, by_user: Arc::default() }
    }

    /// The controller's own identity.
    pub fn own(&self) -> &Client {
        &self.base
    }

    /// The client of a service account; without a name the controller's own.
    ///
    /// Whether the account exists shows at the first request.
    ///
    /// # Errors
    /// A name that no service account can have.
    pub fn service_account(&self, namespace: &str, name: Option<&str>) -> Result<Client, ImpersonateError> {
        let Some(name) = name.filter(|n| !n.is_empty()) else {
            return Ok(self.base.clone());
        };
        let user = format!("system:serviceaccount:{namespace}:{name}");
        let mut clients = self.by_user.lock();
        if let Some(client) = clients.get(&user) {
            return Ok(client.clone());
        }
        let client = impersonating(self.base.clone(), &user)?;
        if clients.len() >= MAX_IDENTITIES {
            // A client is cheap to make again; those in use live on in their users' hands.
            clients.clear();
        }
        clients.insert(user, client.clone());
        Ok(client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::Api;

    fn answering(log: Arc<Mutex<Vec<Option<String>>>>) -> Client {
        let service = tower::service_fn(move |request: Request<Body>| {
            let log = log.clone();
            async move {
                let user = request.headers().get("Impersonate-User").map(|v| v.to_str().unwrap().to_owned());
                log.lock().push(user);
                let body = br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"}}"#.to_vec();
                Ok::<_, std::convert::Infallible>(Response::new(Body::from(body)))
            }
        });
        Client::new(service, "default")
    }

    #[tokio::test]
    async fn requests_carry_the_identity_and_share_the_connection() {
        let log = Arc::new(Mutex::new(Vec::new()));
        let identities = Identities::new(answering(log.clone()));
        for account in [None, Some(""), Some("deployer"), Some("deployer")] {
            let client = identities.service_account("apps", account).unwrap();
            Api::<ConfigMap>::namespaced(client, "apps").get("x").await.unwrap();
        }
        let user = Some("system:serviceaccount:apps:deployer".to_owned());
        assert_eq!(*log.lock(), [None, None, user.clone(), user]);
        assert_eq!(identities.by_user.lock().len(), 1);
        assert!(identities.service_account("apps", Some("a\nb")).is_err());
    }

    #[tokio::test]
    async fn requests_are_counted() {
        let metrics = Metrics::new();
        let client = counted(answering(Arc::default()), &metrics, "api:6443");
        Api::<ConfigMap>::namespaced(client, "apps").get("x").await.unwrap();
        let line = r#"rest_client_requests_total{code="200",host="api:6443",method="GET"} 1"#;
        assert!(metrics.encode().lines().any(|l| l == line));
    }
}
