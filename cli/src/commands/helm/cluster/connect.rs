//! Which cluster: kubeconfig, context and flags, as Helm reads them.

use http::Uri;
use kube::Client;
use kube::config::{Kubeconfig, KubeconfigError};
use sluice_gotemplate::fmt::quoted;

use crate::arguments::Global;
use crate::failure::chain;
use crate::session::configure;

/// Where Go's client looks for an API server when nothing names one.
const NOTHING_CONFIGURED: &str = "http://localhost:8080";

/// A client for the cluster, and its address. Nothing is sent yet.
///
/// # Errors
/// Helm's text where it has one, else ours.
pub(super) async fn client(global: &Global) -> Result<(Client, Uri), String> {
    let mut global = global.clone();
    let kubeconfig = read(&global)?;
    match &kubeconfig {
        Some(kubeconfig) => check_context(kubeconfig, global.context.as_deref())?,
        None if global.server.is_none() && kube::Config::incluster().is_err() => {
            global.server = Some(NOTHING_CONFIGURED.to_owned());
        }
        None => {}
    }
    let config = configure(&global, kubeconfig).await.map_err(|error| chain(error.as_ref()))?;
    let url = config.cluster_url.clone();
    let client =
        Client::try_from(config).map_err(|error| format!("invalid configuration: {}", chain(&error)))?;
    Ok((client, url))
}

/// The address that tells an API server's version.
pub(super) fn version_url(server: &Uri) -> Uri {
    let base = server.to_string();
    format!("{}/version", base.trim_end_matches('/')).parse().unwrap_or_else(|_| server.clone())
}

/// The namespace of the context. A kubeconfig that is of no use has none: rendering does not need it.
pub(in super::super) fn namespace(global: &Global) -> Option<String> {
    let kubeconfig = read(global).ok()??;
    let context = global.context.as_ref().or(kubeconfig.current_context.as_ref())?;
    let context = kubeconfig.contexts.iter().find(|it| it.name == *context)?;
    context.context.as_ref()?.namespace.clone().filter(|namespace| !namespace.is_empty())
}

/// The kubeconfig, if there is one.
fn read(global: &Global) -> Result<Option<Kubeconfig>, String> {
    let several = match &global.kubeconfig {
        Some(_) => None,
        None => std::env::var_os("KUBECONFIG"),
    };
    let read = match (&global.kubeconfig, several) {
        (Some(file), _) => Kubeconfig::read_from(file),
        (None, Some(files)) if !files.is_empty() => merged(&files),
        (None, _) => Kubeconfig::read(),
    };
    match read {
        Ok(kubeconfig) if kubeconfig.contexts.is_empty() && kubeconfig.clusters.is_empty() => Ok(None),
        Ok(kubeconfig) => Ok(Some(kubeconfig)),
        Err(KubeconfigError::ReadConfig(error, file)) if error.kind() == std::io::ErrorKind::NotFound => {
            match &global.kubeconfig {
                Some(_) => Err(format!("stat {}: no such file or directory", file.display())),
                None => Ok(None),
            }
        }
        Err(KubeconfigError::FindPath) => Ok(None),
        Err(error) => Err(format!("error loading config file: {}", chain(&error))),
    }
}

/// The files of a list, the first of them winning. Those that are not there are left out.
fn merged(files: &std::ffi::OsStr) -> Result<Kubeconfig, KubeconfigError> {
    let there = std::env::split_paths(files).filter(|file| file.exists());
    there.map(Kubeconfig::read_from).try_fold(Kubeconfig::default(), |all, next| all.merge(next?))
}

fn check_context(kubeconfig: &Kubeconfig, wanted: Option<&str>) -> Result<(), String> {
    let has = |name: &str| kubeconfig.contexts.iter().any(|context| context.name == name);
    match (wanted, kubeconfig.current_context.as_deref()) {
        (Some(name), _) if !has(name) => Err(format!("context {} does not exist", quoted(name.as_bytes()))),
        (None, Some(name)) if !name.is_empty() && !has(name) => {
            Err(format!("invalid configuration: context was not found for specified context: {name}"))
        }
        _ => Ok(()),
    }
}
