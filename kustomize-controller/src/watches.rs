//! What wakes a Kustomization besides itself: sources, labelled ConfigMaps and Secrets, dependencies, drift.

use crate::config::{DISABLE_CONFIG_WATCHERS, EXTERNAL_ARTIFACT};
use crate::context::Context;
use crate::source::Artifact;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::watcher;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use sluice_api::ArtifactSource;
use sluice_api::kustomize::Kustomization;
use sluice_api::meta::{READY, ValuesKind};
use sluice_api::source::{Bucket, ExternalArtifact, GitRepository, OCIRepository};
use sluice_runtime::controller::{Cause, Key};
use sluice_runtime::process::Tasks;
use sluice_runtime::watch::{Change, Watched};
use sluice_runtime::{conditions, dependencies};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::Arc;

/// Starts all watches.
pub(crate) fn start(context: &Arc<Context>, tasks: &mut Tasks) {
    sources::<GitRepository>(context, tasks, &context.sources.git);
    sources::<OCIRepository>(context, tasks, &context.sources.oci);
    sources::<Bucket>(context, tasks, &context.sources.bucket);
    if context.gates.enabled(EXTERNAL_ARTIFACT) {
        sources::<ExternalArtifact>(context, tasks, &context.sources.external);
    }
    if !context.gates.enabled(DISABLE_CONFIG_WATCHERS) {
        configs::<ConfigMap>(context, tasks);
        configs::<Secret>(context, tasks);
    }
}

/// Follows one kind of source.
fn sources<K>(context: &Arc<Context>, tasks: &mut Tasks, known: &Watched<Option<Artifact>>)
where
    K: ArtifactSource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let (context, known, shutdown) = (context.clone(), known.clone(), tasks.shutdown());
    let kind = K::kind(&()).into_owned();
    tasks.spawn(format!("{kind} watch"), async move {
        let api: Api<K> = context.config.common.api(&context.client);
        let project = |object: &K| object.artifact().cloned().map(Artifact::from);
        let changed = |change: Change<'_, Option<Artifact>>| {
            let (key, new) = match change {
                Change::Appeared { key, new: Some(new), first_list: false } => (key, new),
                Change::Changed { key, old, new: Some(new) }
                    if old.as_ref().is_none_or(|old| old.revision != new.revision) =>
                {
                    (key, new)
                }
                _ => return,
            };
            for waiting in affected(&context.handle.store().list(), &kind, key, &new.revision) {
                context.handle.trigger(waiting, Cause::related(&kind, &key.namespace, &key.name));
            }
        };
        known.run(api, watcher::Config::default().page_size(100), project, changed, shutdown.clone()).await;
        Ok::<_, Infallible>(())
    });
}

/// Follows labelled ConfigMaps or Secrets, by their metadata alone.
fn configs<K>(context: &Arc<Context>, tasks: &mut Tasks)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let (context, shutdown) = (context.clone(), tasks.shutdown());
    let kind = K::kind(&()).into_owned();
    tasks.spawn(format!("{kind} watch"), async move {
        let api: Api<PartialObjectMeta<K>> = context.config.common.api(&context.client);
        let selector = &context.config.common.watch_configs_label_selector;
        let config = watcher::Config::default().page_size(100).labels(selector);
        let changed = |change: Change<'_, Option<String>>| {
            let key = match change {
                Change::Appeared { first_list: true, .. } => return,
                Change::Appeared { key, .. } | Change::Changed { key, .. } | Change::Gone { key, .. } => key,
            };
            for object in context.handle.store().list() {
                let own = Key::of(object.as_ref());
                if own.namespace == key.namespace && names(&object, &kind, &key.name) {
                    context.handle.trigger(own, Cause::related(&kind, &key.namespace, &key.name));
                }
            }
        };
        let version = |object: &PartialObjectMeta<K>| object.metadata.resource_version.clone();
        Watched::<Option<String>>::default().run(api, config, version, changed, shutdown.clone()).await;
        Ok::<_, Infallible>(())
    });
}

/// The Kustomizations that have to deal with a source's new revision, dependencies before dependents.
fn affected(all: &[Arc<Kustomization>], kind: &str, source: &Key, revision: &str) -> Vec<Key> {
    let mut affected: BTreeMap<Key, Arc<Kustomization>> = BTreeMap::new();
    for object in all {
        let (own, reference) = (Key::of(object.as_ref()), &object.spec.source_ref);
        let namespace = reference.namespace.as_deref().filter(|n| !n.is_empty()).unwrap_or(&own.namespace);
        let uses = reference.kind.to_string() == kind
            && *reference.name == *source.name
            && *namespace == *source.namespace;
        let knows = object.status.as_ref().is_some_and(|status| {
            status.last_attempted_revision.as_deref() == Some(revision)
                && (conditions::is_true(&status.conditions, READY)
                    || conditions::is_true(&status.conditions, conditions::RECONCILING))
        });
        if uses && !knows {
            affected.insert(own, object.clone());
        }
    }
    dependencies::in_order(&affected)
}

/// Whether a Kustomization reads a ConfigMap or Secret of its namespace.
fn names(object: &Kustomization, kind: &str, name: &str) -> bool {
    let spec = &object.spec;
    let substitute = spec.post_build.iter().flat_map(|post| &post.substitute_from);
    let substituted =
        substitute.filter(|reference| reference.name == name).any(|reference| match reference.kind {
            ValuesKind::ConfigMap => kind == "ConfigMap",
            ValuesKind::Secret => kind == "Secret",
        });
    let remote = spec.kube_config.as_ref();
    let other = if kind == "Secret" {
        let keys = spec.decryption.as_ref().and_then(|decryption| decryption.secret_ref.as_ref());
        remote.and_then(|r| r.secret_ref.as_ref()).is_some_and(|r| r.name == name)
            || keys.is_some_and(|r| r.name == name)
    } else {
        remote.and_then(|r| r.config_map_ref.as_ref()).is_some_and(|r| r.name == name)
    };
    substituted || other
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kustomization(name: &str, depends_on: &[&str], status: serde_json::Value) -> Arc<Kustomization> {
        let depends_on: Vec<_> = depends_on.iter().map(|name| json!({"name": name})).collect();
        let spec = json!({
            "interval": "1m", "prune": true, "dependsOn": depends_on,
            "sourceRef": {"kind": "GitRepository", "name": "src"},
        });
        let object = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"namespace": "ns", "name": name}, "spec": spec, "status": status,
        });
        Arc::new(serde_json::from_value(object).unwrap())
    }

    fn woken(all: &[Arc<Kustomization>]) -> Vec<String> {
        let keys = affected(all, "GitRepository", &Key::new("ns", "src"), "r2");
        keys.iter().map(|key| key.name.to_string()).collect()
    }

    #[test]
    fn a_new_revision_wakes_dependencies_first_and_cycles_too() {
        let none = || json!({});
        let all = [
            kustomization("a", &["b"], none()),
            kustomization("b", &["c", "elsewhere"], none()),
            kustomization("c", &[], none()),
            kustomization("x", &["y"], none()),
            kustomization("y", &["x"], none()),
        ];
        assert_eq!(woken(&all), ["c", "b", "a", "y", "x"]);
    }

    #[test]
    fn who_has_the_revision_is_left_alone() {
        let status = |revision: &str, ready: &str| {
            json!({"lastAttemptedRevision": revision, "conditions": [
                {"type": "Ready", "status": ready, "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            ]})
        };
        let all = [
            kustomization("done", &[], status("r2", "True")),
            kustomization("failed", &[], status("r2", "False")),
            kustomization("old", &[], status("r1", "True")),
        ];
        assert_eq!(woken(&all), ["failed", "old"]);
    }
}
