//! `spec.values` and `spec.valuesFrom`: what a release's chart is configured with.
//!
//! The result is the input of the config digest, by which a change of values is seen; so it has to be what Flux composes,
//! bit for bit, or every release would be upgraded when a cluster changes from one to the other.

mod merge;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client};
use serde_json::{Map, Value};
use sluice_api::helm::{HelmRelease, ValuesReference};
use sluice_api::meta::ValuesKind;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

pub use merge::Composer;

/// The key that is read where none is named.
const DEFAULT_KEY: &str = "values.yaml";

/// Why values cannot be composed.
#[derive(Debug, thiserror::Error)]
pub enum ValuesError {
    /// A reference that leads to nothing, or to something that cannot be used.
    #[error("could not resolve {}{kind} chart values reference '{namespace}/{name}' with key '{key}': {cause}", if *optional { "optional " } else { "" })]
    Reference {
        /// Whether it may be missing.
        optional: bool,
        /// `ConfigMap` or `Secret`.
        kind: ValuesKind,
        /// Namespace of the referenced object.
        namespace: String,
        /// Its name.
        name: String,
        /// The key in its data.
        key: String,
        /// What is wrong.
        cause: String,
    },
    /// The API server could not be asked, or refused.
    #[error("{0}")]
    Api(String),
    /// `spec.values` is no map.
    #[error("spec.values must be an object")]
    Inline,
}

/// What stands for a value that came from a Secret.
const MASK: &str = "***";

/// Whether what Secrets hold is part of composed values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// As a release needs it.
    Shown,
    /// Replaced, value by value, for people to read; which values there are still shows.
    Masked,
}

/// Composes the values of a HelmRelease: reads what `valuesFrom` names, each object once, from the HelmRelease's own
/// namespace, and merges it with `values`. Numbers are floats but for those that a `targetPath` set.
///
/// # Errors
/// The first reference, in list order, that cannot be followed.
pub async fn compose(
    client: &Client,
    release: &HelmRelease,
    secrets: Secrets,
) -> Result<Map<String, Value>, ValuesError> {
    let namespace = release.metadata.namespace.clone().unwrap_or_default();
    let mut composer = Composer::new(inline(release)?);
    let mut objects: HashMap<(ValuesKind, &str), Option<Object>> = HashMap::new();
    for reference in &release.spec.values_from {
        let object = match objects.entry((reference.kind, reference.name.as_str())) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(read(client, &namespace, reference).await?),
        };
        let fail = |cause: String| failure(&namespace, reference, cause);
        let Some(object) = object else {
            if reference.optional {
                continue;
            }
            return Err(fail(missing(reference)));
        };
        match object.get(key(reference)) {
            Some(data) => {
                let masked = secrets == Secrets::Masked && reference.kind == ValuesKind::Secret;
                add(&mut composer, reference, &data, masked).map_err(fail)?;
            }
            None if reference.optional => {}
            None => return Err(fail("key not found".to_owned())),
        }
    }
    Ok(composer.finish())
}

/// `spec.values` as values.
fn inline(release: &HelmRelease) -> Result<Map<String, Value>, ValuesError> {
    let mut values = release.spec.values.clone().unwrap_or(Value::Null);
    sluice_helm::values::from_json(&mut values);
    match values {
        Value::Object(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        _ => Err(ValuesError::Inline),
    }
}

/// What the API server says of an object that does not exist.
fn missing(reference: &ValuesReference) -> String {
    let resource = match reference.kind {
        ValuesKind::Secret => "secrets",
        ValuesKind::ConfigMap => "configmaps",
    };
    format!("{resource} \"{}\" not found", reference.name)
}

fn key(reference: &ValuesReference) -> &str {
    reference.values_key.as_deref().filter(|key| !key.is_empty()).unwrap_or(DEFAULT_KEY)
}

fn failure(namespace: &str, reference: &ValuesReference, cause: String) -> ValuesError {
    ValuesError::Reference {
        optional: reference.optional,
        kind: reference.kind,
        namespace: namespace.to_owned(),
        name: reference.name.clone(),
        key: key(reference).to_owned(),
        cause,
    }
}

fn add(
    composer: &mut Composer,
    reference: &ValuesReference,
    data: &[u8],
    masked: bool,
) -> Result<(), String> {
    match reference.target_path.as_deref().filter(|path| !path.is_empty()) {
        Some(path) if masked => {
            composer.set(path, MASK, true).map_err(|_| "failed to merge value".to_owned())
        }
        Some(path) => {
            let text = String::from_utf8_lossy(data);
            composer.set(path, &text, reference.literal).map_err(|problem| match reference.kind {
                ValuesKind::ConfigMap => problem,
                // What the parser says quotes parts of the value.
                ValuesKind::Secret => "failed to merge value".to_owned(),
            })
        }
        None => {
            let mut values = sluice_helm::values::read(data)?;
            if masked {
                values.values_mut().for_each(mask);
            }
            composer.merge(values);
            Ok(())
        }
    }
}

/// Replaces every value but maps, whose keys stay.
fn mask(value: &mut Value) {
    match value {
        Value::Object(map) => map.values_mut().for_each(mask),
        other => *other = MASK.into(),
    }
}

/// What values can be read from.
enum Object {
    ConfigMap(Box<ConfigMap>),
    Secret(Box<Secret>),
}

impl Object {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        match self {
            Object::ConfigMap(map) => map.data.as_ref()?.get(key).map(|text| text.clone().into_bytes()),
            Object::Secret(secret) => secret.data.as_ref()?.get(key).map(|data| data.0.clone()),
        }
    }
}

async fn read(
    client: &Client,
    namespace: &str,
    reference: &ValuesReference,
) -> Result<Option<Object>, ValuesError> {
    let found = match reference.kind {
        ValuesKind::ConfigMap => {
            let api = Api::<ConfigMap>::namespaced(client.clone(), namespace);
            api.get_opt(&reference.name).await.map(|found| found.map(|it| Object::ConfigMap(Box::new(it))))
        }
        ValuesKind::Secret => {
            let api = Api::<Secret>::namespaced(client.clone(), namespace);
            api.get_opt(&reference.name).await.map(|found| found.map(|it| Object::Secret(Box::new(it))))
        }
    };
    found.map_err(|err| ValuesError::Api(crate::api_error(&err)))
}
