//! The cluster that a command works on: client, namespace and deadline, from flags, environment and kubeconfig.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use kube::api::{Api, DynamicObject, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;
use tokio::time::Instant;

use crate::arguments::Global;
use crate::failure::{advised, from_api};
use crate::kinds::Kind;
use crate::talk;

/// How often the state of an object is asked for while waiting.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_secs(2);

const DEFAULT_NAMESPACE: &str = "flux-system";

/// A cluster to work on.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    deadline: Instant,
}

impl Session {
    /// Prepares to talk to the cluster; nothing is sent yet.
    ///
    /// # Errors
    /// Where the namespace is not one, or no cluster is configured.
    pub(crate) async fn open(global: &Global) -> Result<Self> {
        if let Some(namespace) = global.namespace.as_ref().filter(|namespace| !is_label(namespace)) {
            bail!("namespace must be a valid DNS label: {namespace:?}");
        }
        let config = configure(global, kubeconfig(global)?).await?;
        let namespace = namespace(global, &config.default_namespace, |name| std::env::var(name).ok());
        let client = Client::try_from(config).context("cannot use the cluster of the kubeconfig")?;
        // A deadline that the clock cannot hold is as good as none.
        let deadline = Instant::now() + global.timeout.to_std().min(Duration::from_secs(u32::MAX.into()));
        Ok(Self { client, namespace, deadline })
    }

    /// Does work within the time that the command has.
    ///
    /// # Errors
    /// That of the work, or that time is up.
    pub(crate) async fn within<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::time::timeout_at(self.deadline, work).await.unwrap_or_else(|_| {
            Err(advised(
                "context deadline exceeded",
                "give the command more time with --timeout, such as --timeout=10m",
            ))
        })
    }

    /// Asks for objects of a kind in a namespace, or in all.
    pub(crate) fn api(&self, kind: &Kind, namespace: Option<&str>) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &kind.resource()),
            None => Api::all_with(self.client.clone(), &kind.resource()),
        }
    }

    /// Reads one object.
    ///
    /// # Errors
    /// The API server's text.
    pub(crate) async fn get(&self, kind: &Kind, namespace: &str, name: &str) -> Result<Value> {
        let object = self.api(kind, Some(namespace)).get(name).await.map_err(from_api)?;
        Ok(serde_json::to_value(object)?)
    }

    /// Reads all objects that match, a page at a time.
    ///
    /// # Errors
    /// As of [`kube`].
    pub(crate) async fn list(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        parameters: ListParams,
    ) -> Result<Vec<Value>, kube::Error> {
        let api = self.api(kind, namespace);
        let mut parameters = parameters.limit(500);
        let mut objects = Vec::new();
        loop {
            let page = api.list(&parameters).await?;
            for object in page.items {
                objects.push(serde_json::to_value(object).map_err(kube::Error::SerdeError)?);
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters = parameters.continue_token(&token),
                None => return Ok(objects),
            }
        }
    }
}

/// The kubeconfig, if there is one.
fn kubeconfig(global: &Global) -> Result<Option<Kubeconfig>> {
    match &global.kubeconfig {
        Some(file) => Kubeconfig::read_from(file)
            .map(Some)
            .with_context(|| format!("cannot read the kubeconfig {}", file.display())),
        None => Ok(Kubeconfig::read().ok()),
    }
}

/// The client's configuration: the kubeconfig (or the pod's own account), and over it the flags.
///
/// # Errors
/// Where the kubeconfig or a flag cannot be used, or there is neither.
pub(crate) async fn configure(global: &Global, read: Option<Kubeconfig>) -> Result<Config> {
    let options = KubeConfigOptions {
        context: global.context.clone(),
        cluster: global.cluster.clone(),
        user: global.user.clone(),
    };
    let mut config = match (read, &global.server) {
        (Some(kubeconfig), _) => Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .context("cannot use the kubeconfig")?,
        (None, Some(server)) => Config::new(server.parse().with_context(|| format!("invalid --server {server:?}"))?),
        (None, None) => Config::incluster().map_err(|_| {
            advised(
                "no cluster is configured: there is no kubeconfig, and this is not a pod",
                "name one with --kubeconfig or KUBECONFIG; \"sluice cluster start --kubeconfig FILE\" makes one",
            )
        })?,
    };
    if let Some(server) = &global.server {
        config.cluster_url = server.parse().with_context(|| format!("invalid --server {server:?}"))?;
    }
    if let Some(file) = &global.certificate_authority {
        config.root_cert_file = Some(file.clone());
    }
    if global.tls_server_name.is_some() {
        config.tls_server_name.clone_from(&global.tls_server_name);
    }
    config.accept_invalid_certs |= global.insecure_skip_tls_verify;
    let auth = &mut config.auth_info;
    if let Some(token) = &global.token {
        auth.token = Some(token.clone().into());
        auth.token_file = None;
    }
    if let Some(file) = &global.client_certificate {
        auth.client_certificate = Some(file.clone());
        auth.client_certificate_data = None;
    }
    if let Some(file) = &global.client_key {
        auth.client_key = Some(file.clone());
        auth.client_key_data = None;
    }
    if global.impersonate.is_some() {
        auth.impersonate.clone_from(&global.impersonate);
    }
    if !global.impersonate_groups.is_empty() {
        auth.impersonate_groups = Some(global.impersonate_groups.clone());
    }
    Ok(config)
}

/// `-n` before the context (if that was asked for) before the environment before the default.
fn namespace(global: &Global, of_context: &str, environment: impl Fn(&str) -> Option<String>) -> String {
    if let Some(namespace) = &global.namespace {
        return namespace.clone();
    }
    let follows = global.ns_follows_kube_context.unwrap_or_else(|| {
        environment("FLUX_NS_FOLLOWS_KUBE_CONTEXT").is_some_and(|value| !value.is_empty())
    });
    if follows {
        return of_context.to_owned();
    }
    match environment("FLUX_SYSTEM_NAMESPACE").filter(|namespace| !namespace.is_empty()) {
        Some(namespace) if is_label(&namespace) => namespace,
        Some(namespace) => {
            talk::warning(&format!(" ignoring invalid FLUX_SYSTEM_NAMESPACE: {namespace:?}"));
            DEFAULT_NAMESPACE.to_owned()
        }
        None => DEFAULT_NAMESPACE.to_owned(),
    }
}

/// Whether a text is a DNS-1123 label.
fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespace_comes_from_flag_then_context_then_environment() {
        let none = |_: &str| None;
        let system = |name: &str| (name == "FLUX_SYSTEM_NAMESPACE").then(|| "gitops".to_owned());
        let invalid = |name: &str| (name == "FLUX_SYSTEM_NAMESPACE").then(|| "Git_Ops".to_owned());
        let follows = |name: &str| (name == "FLUX_NS_FOLLOWS_KUBE_CONTEXT").then(|| "1".to_owned());
        let flag = Global { namespace: Some("apps".to_owned()), ..Global::default() };
        let opted_in = Global { ns_follows_kube_context: Some(true), ..Global::default() };
        let opted_out = Global { ns_follows_kube_context: Some(false), ..Global::default() };
        assert_eq!(namespace(&Global::default(), "context", none), "flux-system");
        assert_eq!(namespace(&Global::default(), "context", system), "gitops");
        assert_eq!(namespace(&Global::default(), "context", invalid), "flux-system");
        assert_eq!(namespace(&Global::default(), "context", follows), "context");
        assert_eq!(namespace(&opted_in, "context", system), "context");
        assert_eq!(namespace(&opted_out, "context", follows), "flux-system");
        assert_eq!(namespace(&flag, "context", follows), "apps");
    }

    #[test]
    fn labels_are_those_of_dns() {
        assert!(is_label("flux-system") && is_label("a") && is_label("1"));
        for text in ["", "-a", "a-", "A", "a.b", "a_b", &"a".repeat(64)] {
            assert!(!is_label(text), "{text}");
        }
    }
}
