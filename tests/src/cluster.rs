//! A cluster for one test: the same to the test, whichever API server it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::{Api, Client, Config, ResourceExt};
use parking_lot::Mutex;
use serde_json::Value;
use sluice_simulator::{Options, Server};
use tempfile::TempDir;

use crate::control_plane::ControlPlane;
use crate::trap::Gate;
use crate::{Controller, Trap, eventually, process};

/// Field manager of what tests apply.
const MANAGER: &str = "sluice-tests";

/// A request that the API server has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// Path and query.
    pub uri: String,
    /// The `User-Agent` header.
    pub user_agent: String,
}

/// A running cluster with an empty API.
pub struct Cluster {
    server: ApiServer,
    client: Client,
    kubeconfig: PathBuf,
    folder: TempDir,
}

enum ApiServer {
    Embedded { server: Box<Server>, requests: Arc<Mutex<Vec<Request>>>, gate: Arc<Mutex<Option<Gate>>> },
    Real(Box<ControlPlane>),
}

impl Cluster {
    /// Starts the embedded API server.
    ///
    /// # Errors
    /// When it cannot start.
    pub async fn embedded() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let requests = Arc::new(Mutex::new(Vec::new()));
        let gate = Arc::new(Mutex::new(None::<Gate>));
        let (log, gates) = (requests.clone(), gate.clone());
        let server = Server::start(Options {
            nodes: 2,
            observer: Some(Arc::new(move |request| log.lock().push(seen(request)))),
            gate: Some(Arc::new(move |request| {
                gates.lock().as_mut().is_none_or(|gate| gate(&seen(request)))
            })),
            ..Options::default()
        })
        .await?;
        let kubeconfig = folder.path().join("kubeconfig");
        fs::write(&kubeconfig, server.kubeconfig())?;
        let client = connect(&kubeconfig).await?;
        Ok(Self {
            server: ApiServer::Embedded { server: Box::new(server), requests, gate },
            client,
            kubeconfig,
            folder,
        })
    }

    /// Starts a real control plane, from the binaries of `tests/controlplane/build`.
    ///
    /// # Errors
    /// When a binary is missing or does not start.
    pub async fn real() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (plane, kubeconfig) = ControlPlane::start(folder.path()).await?;
        let client = connect(&kubeconfig).await?;
        Ok(Self { server: ApiServer::Real(Box::new(plane)), client, kubeconfig, folder })
    }

    /// Whether this is kube-apiserver.
    pub fn is_real(&self) -> bool {
        matches!(self.server, ApiServer::Real(_))
    }

    /// Talks to the API server as its administrator.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A folder for files of the test; it goes with the cluster.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The processes of the control plane, by name; none for the embedded server, which runs in the test.
    pub async fn processes(&self) -> Vec<(String, u32)> {
        match &self.server {
            ApiServer::Embedded { .. } => Vec::new(),
            ApiServer::Real(plane) => plane.processes().await,
        }
    }

    /// A token of a ServiceAccount, by the TokenRequest API.
    ///
    /// # Errors
    /// What the API server refused.
    pub async fn token(&self, namespace: &str, account: &str) -> Result<String> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(), namespace);
        let answer = accounts
            .create_token_request(account, &PostParams::default(), &TokenRequest::default())
            .await
            .with_context(|| format!("no token for ServiceAccount {namespace}/{account}"))?;
        answer.status.and_then(|status| status.token).context("the answer to a TokenRequest has no token")
    }

    /// A client that acts as a ServiceAccount.
    ///
    /// # Errors
    /// When the API server gives it no token.
    pub async fn client_of(&self, namespace: &str, account: &str) -> Result<Client> {
        let mut config = config(&self.kubeconfig).await?;
        config.auth_info = kube::config::AuthInfo {
            token: Some(self.token(namespace, account).await?.into()),
            ..Default::default()
        };
        Ok(Client::try_from(config)?)
    }

    /// Applies an object as the administrator.
    ///
    /// # Errors
    /// What the API server refused.
    pub async fn apply(&self, object: &Value) -> Result<DynamicObject> {
        apply(&self.client, object).await
    }

    /// Applies every document of a text.
    ///
    /// # Errors
    /// When the text is not YAML, or the API server refuses an object.
    pub async fn apply_yaml(&self, text: &str) -> Result<()> {
        for document in sluice_yaml::parse_documents(text)? {
            apply(&self.client, &document.value).await?;
        }
        Ok(())
    }

    /// Makes a namespace, and waits until its default ServiceAccount is there.
    ///
    /// # Errors
    /// What the API server refused.
    pub async fn namespace(&self, name: &str) -> Result<()> {
        self.apply(&serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
            .await?;
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(), name);
        eventually("the default ServiceAccount", async || Ok(accounts.get_opt("default").await?)).await?;
        Ok(())
    }

    /// Installs the CRDs of the four groups, and waits until they are served.
    ///
    /// # Errors
    /// What the API server refused.
    pub async fn install_crds(&self) -> Result<()> {
        use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client());
        let crds = sluice_api::crds();
        for crd in &crds {
            self.apply(&serde_json::to_value(crd)?).await?;
        }
        eventually("the CRDs to be established", async || {
            for crd in &crds {
                let stored = definitions.get(&crd.name_any()).await?;
                let conditions = stored.status.and_then(|status| status.conditions).unwrap_or_default();
                if !conditions
                    .iter()
                    .any(|condition| condition.type_ == "Established" && condition.status == "True")
                {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .await
    }

    /// Forgets the requests so far.
    ///
    /// # Errors
    /// When the audit log cannot be emptied.
    pub fn forget_requests(&self) -> Result<()> {
        match &self.server {
            ApiServer::Embedded { requests, .. } => requests.lock().clear(),
            ApiServer::Real(plane) => {
                fs::OpenOptions::new().write(true).open(plane.audit_log())?.set_len(0)?
            }
        }
        Ok(())
    }

    /// The requests since the start or the last [`Cluster::forget_requests`].
    ///
    /// # Errors
    /// When the audit log cannot be read.
    pub fn requests(&self) -> Result<Vec<Request>> {
        match &self.server {
            ApiServer::Embedded { requests, .. } => Ok(requests.lock().clone()),
            ApiServer::Real(plane) => audited(&fs::read_to_string(plane.audit_log())?).into_iter().collect(),
        }
    }

    /// Kills a controller at the `nth` request that it sends from now on to change something.
    ///
    /// The embedded server does not serve that request, nor those after it. A real one tells of a request while it serves
    /// it, so that there the trap springs about then.
    ///
    /// # Errors
    /// When the controller does not run, or the audit log cannot be read.
    pub fn trap(&self, victim: &Controller, nth: usize) -> Result<Trap> {
        let (pid, agent) = (victim.pid()?, victim.user_agent());
        match &self.server {
            ApiServer::Embedded { gate, .. } => {
                let (trap, next) = Trap::at_request(pid, agent, nth);
                *gate.lock() = Some(next);
                Ok(trap)
            }
            ApiServer::Real(plane) => Trap::in_audit_log(pid, agent, nth, plane.audit_log()),
        }
    }

    /// Takes the API server away: connections break, new ones are refused. Nothing stored is lost.
    ///
    /// # Errors
    /// When its process cannot be killed.
    pub async fn suspend(&self) -> Result<()> {
        match &self.server {
            ApiServer::Embedded { server, .. } => server.suspend().await,
            ApiServer::Real(plane) => plane.suspend().await?,
        }
        Ok(())
    }

    /// Brings the API server back, on the same address.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn resume(&self) -> Result<()> {
        match &self.server {
            ApiServer::Embedded { server, .. } => Ok(server.resume().await?),
            ApiServer::Real(plane) => plane.resume(&self.client).await,
        }
    }

    /// Returns when a part of the control plane has ended by itself, with the reason.
    pub(crate) async fn dies(&self) -> anyhow::Error {
        loop {
            if let ApiServer::Real(plane) = &self.server
                && let Err(died) = plane.check().await
            {
                return died;
            }
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    }

    /// Prints the ends of the logs of controllers and control plane, for a test that failed.
    #[expect(clippy::print_stderr, reason = "the test framework shows what a failed test printed")]
    pub(crate) async fn print_logs(&self) {
        for log in fs::read_dir(self.folder()).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if log.extension().is_some_and(|extension| extension == "log") {
                eprintln!("--- {}\n{}\n", log.display(), process::tail(&log));
            }
        }
        if let ApiServer::Real(plane) = &self.server {
            eprintln!("{}", plane.logs().await);
        }
    }

    /// Stops everything that was started.
    ///
    /// # Errors
    /// When a process cannot be killed.
    pub async fn stop(self) -> Result<()> {
        match self.server {
            ApiServer::Embedded { server, .. } => {
                server.stop().await;
                Ok(())
            }
            ApiServer::Real(plane) => plane.stop().await,
        }
    }
}

/// A request that the embedded server has got.
fn seen(request: &sluice_simulator::Request) -> Request {
    Request {
        verb: verb(&request.method, &request.uri).to_owned(),
        uri: request.uri.clone(),
        user_agent: request.user_agent.clone(),
    }
}

/// The requests in the lines of an audit log.
pub(crate) fn audited(lines: &str) -> Vec<Result<Request>> {
    let lines = lines.lines().map(|line| {
        // Emptied while the server had it open for appending: the file may begin with a hole.
        let event: Value = serde_json::from_str(line.trim_start_matches('\0'))?;
        let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        Ok(Request { verb: text("verb"), uri: text("requestURI"), user_agent: text("userAgent") })
    });
    lines.collect()
}

/// The verb of a request by its method and path, as an audit log has it.
fn verb<'a>(method: &'a str, uri: &str) -> &'a str {
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let mut segments = path.trim_matches('/').split('/');
    // Behind `api/v1` or `apis/group/version`, and `namespaces/name` where more follows, stand resource and name.
    let skip = if segments.next() == Some("apis") { 2 } else { 1 };
    let rest: Vec<&str> = segments.skip(skip).collect();
    let named = match rest.as_slice() {
        ["namespaces", _, _, rest @ ..] => !rest.is_empty(),
        [_, rest @ ..] => !rest.is_empty(),
        [] => true,
    };
    match method {
        "GET" if query.split('&').any(|pair| pair == "watch=true" || pair == "watch=1") => "watch",
        "GET" if named => "get",
        "GET" => "list",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" if named => "delete",
        "DELETE" => "deletecollection",
        other => other,
    }
}

async fn config(kubeconfig: &Path) -> Result<Config> {
    let file =
        Kubeconfig::read_from(kubeconfig).with_context(|| format!("cannot read {}", kubeconfig.display()))?;
    Ok(Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?)
}

/// A client for a kubeconfig.
pub(crate) async fn connect(kubeconfig: &Path) -> Result<Client> {
    Ok(Client::try_from(config(kubeconfig).await?)?)
}

/// Applies an object, server-side.
pub(crate) async fn apply(client: &Client, object: &Value) -> Result<DynamicObject> {
    let object: DynamicObject = serde_json::from_value(object.clone())?;
    let types = object.types.clone().context("an object has no kind")?;
    let (group, version) = types.api_version.split_once('/').unwrap_or(("", &types.api_version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &types.kind));
    let name = object.name_any();
    let api: Api<DynamicObject> = match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    api.patch(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&object))
        .await
        .with_context(|| format!("cannot apply {} {name}", types.kind))
}

#[cfg(test)]
mod tests {
    #[test]
    fn verbs_are_those_of_an_audit_log() {
        for (method, uri, verb) in [
            ("GET", "/api/v1/namespaces", "list"),
            ("GET", "/api/v1/namespaces/a", "get"),
            ("GET", "/api/v1/namespaces/a/pods?limit=500", "list"),
            ("GET", "/api/v1/namespaces/a/pods?watch=true", "watch"),
            ("GET", "/apis/apps/v1/namespaces/a/deployments/b", "get"),
            ("PATCH", "/apis/apps/v1/namespaces/a/deployments/b/status", "patch"),
            ("DELETE", "/apis/apps/v1/namespaces/a/deployments", "deletecollection"),
            ("DELETE", "/api/v1/nodes/n", "delete"),
            ("GET", "/apis", "get"),
        ] {
            assert_eq!(super::verb(method, uri), verb, "{method} {uri}");
        }
    }
}
