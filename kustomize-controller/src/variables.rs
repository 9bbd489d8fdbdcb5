//! The variables of post-build substitution, read from the spec, ConfigMaps and Secrets.

use crate::substitute::Variables;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client};
use sluice_api::kustomize::PostBuild;
use sluice_api::meta::ValuesKind;

/// A reference that cannot be followed.
#[derive(Debug, thiserror::Error)]
#[error("substitute from '{kind}/{name}' error: {cause}")]
pub(crate) struct VariablesError {
    kind: String,
    name: String,
    cause: String,
}

/// Reads the variables with the controller's own identity, each reference once. Later ones overwrite earlier ones, and
/// the spec overwrites all.
///
/// # Errors
/// A reference that does not exist (unless it is optional) or cannot be read.
pub(crate) async fn read(
    client: &Client,
    namespace: &str,
    post: &PostBuild,
) -> Result<Variables, VariablesError> {
    let mut variables = Variables::new();
    for reference in &post.substitute_from {
        let name = reference.name.as_str();
        let fail = |err: kube::Error| VariablesError {
            kind: reference.kind.to_string(),
            name: name.to_owned(),
            cause: crate::api_error(&err),
        };
        let is_optional = |err: &kube::Error| {
            reference.optional && matches!(err, kube::Error::Api(status) if status.code == 404)
        };
        match reference.kind {
            ValuesKind::ConfigMap => {
                match Api::<ConfigMap>::namespaced(client.clone(), namespace).get(name).await {
                    Ok(map) => map.data.unwrap_or_default().iter().for_each(|(k, v)| variables.insert(k, v)),
                    Err(err) if is_optional(&err) => {}
                    Err(err) => return Err(fail(err)),
                }
            }
            ValuesKind::Secret => {
                match Api::<Secret>::namespaced(client.clone(), namespace).get(name).await {
                    Ok(secret) => {
                        for (key, value) in secret.data.unwrap_or_default() {
                            variables.insert(key, &String::from_utf8_lossy(&value.0));
                        }
                    }
                    Err(err) if is_optional(&err) => {}
                    Err(err) => return Err(fail(err)),
                }
            }
        }
    }
    for (name, value) in &post.substitute {
        variables.insert(name, value);
    }
    Ok(variables)
}
