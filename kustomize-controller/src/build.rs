//! From an unpacked source to objects: the engine, then substitution. Pure but for reading files.
//!
//! Results are remembered by artifact digest, spec and variables, so that an unchanged pass neither downloads nor builds.

use crate::generate::{self, GenerateError};
use crate::substitute::{self, Rules, SubstituteError, Variables};
use parking_lot::Mutex;
use serde_json::Value;
use sha2::{Digest, Sha256};
use sluice_api::kustomize::{KustomizationSpec, SubstituteStrategy};
use sluice_kustomize::{BuildError, Options};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

/// Bytes of results that are remembered.
const REMEMBERED: usize = 12 << 20;
/// Group of kustomization files, which are no objects of a cluster.
const FILE_GROUP: &str = "kustomize.config.k8s.io/";

/// What a build produced, as compact JSON: a fraction of the memory of parsed objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Built {
    /// `sha256:<hex>` of the objects as a YAML stream: what the history shows.
    pub(crate) digest: String,
    json: Arc<[u8]>,
}

impl Built {
    /// The objects, in build order.
    pub(crate) fn objects(&self) -> Vec<Value> {
        // Written by this module from a list of values.
        serde_json::from_slice(&self.json).unwrap_or_default()
    }
}

/// Why a build failed. The text is that of Ready.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FailedBuild {
    /// There is no kustomization to build.
    #[error("{0}")]
    Generate(#[from] GenerateError),
    /// The engine refused.
    #[error("kustomize build failed: {0}")]
    Engine(#[from] BuildError),
    /// An object lacks what identifies it. The object itself is not shown: it may be a Secret.
    #[error("failed to decode Kubernetes apiVersion, kind and name from: {0}")]
    Identity(String),
    /// Substitution failed in one object.
    #[error("post build failed for '{object}': {cause}")]
    Substitute {
        /// `Kind.version.group/name`.
        object: String,
        /// What is wrong.
        cause: SubstituteError,
    },
    /// The result cannot be kept: a bug.
    #[error("cannot encode the build result: {0}")]
    Encode(serde_json::Error),
}

/// Builds the directory `dir` of the source `root`. Blocks.
///
/// # Errors
/// See [`FailedBuild`].
pub(crate) fn build(
    root: &Path,
    dir: &Path,
    spec: &KustomizationSpec,
    variables: &Variables,
    strict: bool,
) -> Result<Built, FailedBuild> {
    let file = generate::kustomization(root, dir, spec)?;
    let options = Options { shown_root: Some("/kustomization".to_owned()), ..Options::flux() };
    let built = sluice_kustomize::build_with(root, dir, &file, &options)?;
    let rules = spec
        .post_build
        .as_ref()
        .map(|post| Rules { strict, always: post.substitute_strategy == Some(SubstituteStrategy::Always) });
    let mut objects = Vec::with_capacity(built.len());
    for object in built {
        let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        if api_version.starts_with(FILE_GROUP) && kind == "Kustomization" {
            continue;
        }
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
        if api_version.is_empty() || kind.is_empty() || name.is_empty() {
            return Err(FailedBuild::Identity(format!(
                "apiVersion '{api_version}', kind '{kind}', name '{name}'"
            )));
        }
        objects.push(match rules {
            Some(rules) => {
                substitute::object(object, variables, rules).map_err(|cause| FailedBuild::Substitute {
                    object: format!("{}/{name}", group_version_kind(&api_version, &kind)),
                    cause,
                })?
            }
            None => object,
        });
    }
    let digest = format!("sha256:{}", hex::encode(Sha256::digest(sluice_kustomize::to_yaml(&objects))));
    let json = serde_json::to_vec(&objects).map_err(FailedBuild::Encode)?;
    Ok(Built { digest, json: json.into() })
}

/// `Kind.version.group`, as kustomize writes it in texts.
fn group_version_kind(api_version: &str, kind: &str) -> String {
    match api_version.split_once('/') {
        Some((group, version)) => format!("{kind}.{version}.{group}"),
        None => format!("{kind}.{api_version}.[noGrp]"),
    }
}

/// What a build result depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inputs([u8; 32]);

impl Inputs {
    /// The hash of everything that a build reads.
    pub(crate) fn new(artifact: &str, spec: &KustomizationSpec, variables: &Variables, strict: bool) -> Self {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(artifact.as_bytes());
        part(&[u8::from(strict)]);
        // Only these fields of the spec have a say in the build.
        let spec = KustomizationSpec {
            path: spec.path.clone(),
            target_namespace: spec.target_namespace.clone(),
            name_prefix: spec.name_prefix.clone(),
            name_suffix: spec.name_suffix.clone(),
            patches: spec.patches.clone(),
            images: spec.images.clone(),
            components: spec.components.clone(),
            ignore_missing_components: spec.ignore_missing_components,
            build_metadata: spec.build_metadata.clone(),
            post_build: spec.post_build.clone(),
            ..KustomizationSpec::default()
        };
        part(&serde_json::to_vec(&spec).unwrap_or_default());
        for (name, value) in variables.iter() {
            part(name.as_bytes());
            part(value.as_bytes());
        }
        Self(hash.finalize().into())
    }
}

/// Remembers results, the least used are dropped first.
#[derive(Debug, Default)]
pub(crate) struct Builds(Mutex<VecDeque<(Inputs, Built)>>);

impl Builds {
    /// The result of the same inputs, if it is remembered.
    pub(crate) fn get(&self, inputs: Inputs) -> Option<Built> {
        let mut results = self.0.lock();
        let at = results.iter().position(|(known, _)| *known == inputs)?;
        let found = results.remove(at)?;
        results.push_front(found.clone());
        Some(found.1)
    }

    /// Remembers a result.
    pub(crate) fn put(&self, inputs: Inputs, built: Built) {
        let mut results = self.0.lock();
        results.push_front((inputs, built));
        let mut size = 0;
        let fits = results.iter().take_while(|(_, built)| {
            size += built.json.len();
            size <= REMEMBERED
        });
        let fits = fits.count();
        results.truncate(fits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const MANIFESTS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: '${who:=nobody}'}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: b}\nspec: {template: {spec: {containers: [{name: c, image: app}]}}}\n";

    fn spec(more: Value) -> KustomizationSpec {
        let mut full =
            json!({"interval": "1m", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "x"}});
        full.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(full).unwrap()
    }

    fn run(manifests: &str, more: Value, variables: &[(&str, &str)]) -> Result<Vec<Value>, String> {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("all.yaml"), manifests).unwrap();
        let mut vars = Variables::new();
        variables.iter().for_each(|(name, value)| vars.insert(*name, value));
        build(root.path(), root.path(), &spec(more), &vars, true)
            .map(|b| b.objects())
            .map_err(|err| err.to_string())
    }

    #[test]
    fn a_directory_of_manifests_becomes_objects() {
        let objects = run(
            MANIFESTS,
            json!({"targetNamespace": "apps", "images": [{"name": "app", "newTag": "v2"}]}),
            &[],
        );
        let objects = objects.unwrap();
        assert_eq!(objects.len(), 2);
        assert_eq!(objects[0]["data"]["k"], "${who:=nobody}", "nothing is substituted without postBuild");
        assert_eq!(objects[0]["metadata"]["namespace"], "apps");
        assert_eq!(objects[1]["spec"]["template"]["spec"]["containers"][0]["image"], "app:v2");
    }

    #[test]
    fn variables_are_substituted_and_failures_name_the_object() {
        let post = |more: Value| json!({"postBuild": more});
        let got = run(MANIFESTS, post(json!({"substitute": {"who": "me"}})), &[("who", "me")]).unwrap();
        assert_eq!(got[0]["data"]["k"], "me");
        let got = run(MANIFESTS, post(json!({"substituteStrategy": "Always"})), &[]).unwrap();
        assert_eq!(got[0]["data"]["k"], "nobody");
        let bad = MANIFESTS.replace("${who:=nobody}", "${undefined}");
        let err = run(&bad, post(json!({"substitute": {"who": "me"}})), &[("who", "me")]).unwrap_err();
        assert_eq!(
            err,
            "post build failed for 'ConfigMap.v1.[noGrp]/a': envsubst error: variable substitution failed: variable not set (strict mode): \"undefined\""
        );
    }

    #[test]
    fn nothing_to_build_is_no_failure() {
        let root = tempfile::tempdir().unwrap();
        let built = build(root.path(), root.path(), &spec(json!({})), &Variables::new(), true).unwrap();
        assert!(built.objects().is_empty());
        let file =
            "configMapGenerator: [{name: a, literals: [x=y], options: {disableNameSuffixHash: true}}]\n";
        std::fs::write(root.path().join("kustomization.yaml"), file).unwrap();
        let built = build(root.path(), root.path(), &spec(json!({})), &Variables::new(), true).unwrap();
        let objects = built.objects();
        assert!(
            objects[0].pointer("/metadata/annotations/config.kubernetes.io~1origin").is_some(),
            "{objects:?}"
        );
    }

    #[test]
    fn results_are_found_by_what_a_build_reads() {
        let (mut vars, builds) = (Variables::new(), Builds::default());
        let inputs = |spec: &KustomizationSpec, vars: &Variables| Inputs::new("sha256:1", spec, vars, true);
        let built = Built { digest: "d".into(), json: b"[]".as_slice().into() };
        builds.put(inputs(&spec(json!({})), &vars), built.clone());
        assert_eq!(builds.get(inputs(&spec(json!({"interval": "5m"})), &vars)), Some(built));
        assert_eq!(builds.get(inputs(&spec(json!({"namePrefix": "x"})), &vars)), None);
        vars.insert("a", "b");
        assert_eq!(builds.get(inputs(&spec(json!({})), &vars)), None);
        assert_eq!(builds.get(Inputs::new("sha256:2", &spec(json!({})), &Variables::new(), true)), None);
    }

    #[test]
    fn memory_is_bounded() {
        let builds = Builds::default();
        for i in 0..8 {
            let inputs = Inputs::new(&i.to_string(), &spec(json!({})), &Variables::new(), true);
            builds.put(inputs, Built { digest: String::new(), json: vec![b' '; REMEMBERED / 4].into() });
        }
        assert_eq!(builds.0.lock().len(), 4);
    }
}
