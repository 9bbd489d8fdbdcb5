//! What wakes a HelmRelease besides itself: sources, and labelled ConfigMaps and Secrets. Also follows the Secrets of
//! releases, which wake nobody.

use crate::config::{DISABLE_CONFIG_WATCHERS, EXTERNAL_ARTIFACT};
use crate::context::Context;
use crate::source::{Artifact, Origin, Source};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::watcher;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use sluice_api::ArtifactSource;
use sluice_api::helm::{ChartRefKind, HelmRelease};
use sluice_api::meta::{READY, RECONCILING, ValuesKind};
use sluice_api::source::{ExternalArtifact, HelmChart, OCIRepository};
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
    sources::<HelmChart>(context, tasks, ChartRefKind::HelmChart, &context.sources.charts);
    sources::<OCIRepository>(context, tasks, ChartRefKind::OCIRepository, &context.sources.oci);
    if context.gates.enabled(EXTERNAL_ARTIFACT) {
        sources::<ExternalArtifact>(
            context,
            tasks,
            ChartRefKind::ExternalArtifact,
            &context.sources.external,
        );
    }
    if !context.gates.enabled(DISABLE_CONFIG_WATCHERS) {
        configs::<ConfigMap>(context, tasks);
        configs::<Secret>(context, tasks);
    }
    let (context, shutdown) = (context.clone(), tasks.shutdown());
    tasks.spawn("release watch", async move {
        let api: Api<PartialObjectMeta<Secret>> = context.config.common.api(&context.client);
        context.unmoved.watch(api, shutdown).await;
        Ok::<_, Infallible>(())
    });
}

/// Follows one kind of source.
fn sources<K>(context: &Arc<Context>, tasks: &mut Tasks, kind: ChartRefKind, known: &Watched<Source>)
where
    K: ArtifactSource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let (context, known, shutdown) = (context.clone(), known.clone(), tasks.shutdown());
    tasks.spawn(format!("{kind} watch"), async move {
        let api: Api<K> = context.config.common.api(&context.client);
        let changed = |change: Change<'_, Source>| {
            let (key, new) = match change {
                Change::Appeared { key, new, first_list: false } => (key, new),
                Change::Changed { key, old, new } if is_news(old, new) => (key, new),
                _ => return,
            };
            let Some(artifact) = &new.artifact else { return };
            let origin = Origin { kind, key: key.clone() };
            for waiting in affected(&context.handle.store().list(), &origin, artifact) {
                context.handle.trigger(waiting, Cause::related(kind.as_str(), &key.namespace, &key.name));
            }
        };
        known
            .run(api, watcher::Config::default().page_size(100), Source::of::<K>, changed, shutdown.clone())
            .await;
        Ok::<_, Infallible>(())
    });
}

/// Whether a source has something new, or can be used now and could not before.
fn is_news(old: &Source, new: &Source) -> bool {
    let revision = |source: &Source| source.artifact.as_ref().map(|artifact| artifact.revision.clone());
    new.artifact.is_some()
        && (revision(old) != revision(new)
            || (new.ready && !old.ready)
            || (new.unusable.is_none() && old.unusable.is_some()))
}

/// The HelmReleases that have to deal with a source's new artifact, dependencies before dependents.
fn affected(all: &[Arc<HelmRelease>], origin: &Origin, artifact: &Artifact) -> Vec<Key> {
    let mut affected = BTreeMap::new();
    for object in all {
        if Origin::of(object).as_ref() == Some(origin) && !knows(object, origin, artifact) {
            affected.insert(Key::of(object.as_ref()), object.clone());
        }
    }
    dependencies::in_order(&affected)
}

/// Whether a HelmRelease is at work on an artifact, or done with it.
fn knows(object: &HelmRelease, origin: &Origin, artifact: &Artifact) -> bool {
    let Some(status) = &object.status else { return false };
    let at_it = conditions::is_true(&status.conditions, READY)
        || conditions::is_true(&status.conditions, RECONCILING);
    let same = match origin.kind {
        ChartRefKind::HelmChart => status.last_attempted_revision.as_deref() == Some(&*artifact.revision),
        _ => status.last_attempted_revision_digest.as_deref().is_some_and(|attempted| {
            let of_revision = artifact.revision.rsplit('@').next().unwrap_or_default();
            attempted == of_revision || *attempted == *artifact.revision || *attempted == *artifact.digest
        }),
    };
    at_it && same
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

/// Whether a HelmRelease reads a ConfigMap or Secret of its namespace.
fn names(object: &HelmRelease, kind: &str, name: &str) -> bool {
    let spec = &object.spec;
    let values = spec.values_from.iter().any(|reference| {
        let same = match reference.kind {
            ValuesKind::ConfigMap => kind == "ConfigMap",
            ValuesKind::Secret => kind == "Secret",
        };
        same && reference.name == name
    });
    let remote = spec.kube_config.as_ref().is_some_and(|remote| match kind {
        "Secret" => remote.secret_ref.as_ref().is_some_and(|it| it.name == name),
        _ => remote.config_map_ref.as_ref().is_some_and(|it| it.name == name),
    });
    values || remote
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn release(spec: Value, status: Value) -> Arc<HelmRelease> {
        let mut full = json!({"interval": "1m"});
        if let (Some(full), Some(spec)) = (full.as_object_mut(), spec.as_object()) {
            full.extend(spec.clone());
        }
        let object = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
            "metadata": {"namespace": "ns", "name": "app"}, "spec": full, "status": status});
        Arc::new(serde_json::from_value(object).expect("a HelmRelease"))
    }

    fn source(revision: Option<&str>, ready: bool, unusable: bool) -> Source {
        let artifact = revision.map(|revision| Artifact {
            url: "".into(),
            digest: "sha256:1".into(),
            revision: revision.into(),
        });
        let unusable = unusable.then(|| "why".into());
        Source { version: 0, generation: 1, artifact, ready, unusable }
    }

    #[test]
    fn news_are_a_new_revision_or_that_a_source_recovers() {
        let usable = |revision| source(Some(revision), true, false);
        for (old, new, want) in [
            (source(None, false, true), usable("1"), true),
            (usable("1"), usable("2"), true),
            (usable("1"), usable("1"), false),
            (source(Some("1"), false, false), usable("1"), true),
            (usable("1"), source(Some("1"), false, false), false),
            (usable("1"), source(None, false, true), false),
        ] {
            assert_eq!(is_news(&old, &new), want, "{old:?} {new:?}");
        }
    }

    #[test]
    fn who_has_the_artifact_is_left_alone() {
        let status = |ready: &str, revision: &str, digest: &str| {
            json!({"lastAttemptedRevision": revision, "lastAttemptedRevisionDigest": digest, "conditions": [
                {"type": "Ready", "status": ready, "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            ]})
        };
        let oci = json!({"chartRef": {"kind": "OCIRepository", "name": "c"}});
        let template =
            json!({"chart": {"spec": {"chart": "c", "sourceRef": {"kind": "HelmRepository", "name": "r"}}}});
        let artifact =
            Artifact { url: "".into(), digest: "sha256:layer".into(), revision: "1.0.0@sha256:1".into() };
        let chart = Artifact { url: "".into(), digest: "sha256:layer".into(), revision: "1.0.0".into() };
        let of_oci = Origin { kind: ChartRefKind::OCIRepository, key: Key::new("ns", "c") };
        let of_template = Origin { kind: ChartRefKind::HelmChart, key: Key::new("ns", "ns-app") };
        for (spec, status, origin, artifact, woken) in [
            (&oci, status("True", "1.0.0+1", "sha256:1"), &of_oci, &artifact, false),
            (&oci, status("False", "1.0.0+1", "sha256:1"), &of_oci, &artifact, true),
            (&oci, status("True", "1.0.0+0", "sha256:0"), &of_oci, &artifact, true),
            (&template, status("True", "1.0.0", ""), &of_template, &chart, false),
            (&template, status("True", "0.9.0", ""), &of_template, &chart, true),
            (&template, status("True", "0.9.0", ""), &of_oci, &artifact, false),
        ] {
            let all = [release(spec.clone(), status)];
            assert_eq!(!affected(&all, origin, artifact).is_empty(), woken, "{:?}", all[0].status);
        }
    }

    #[test]
    fn references_to_values_and_kubeconfigs_are_found() {
        let object = release(
            json!({"valuesFrom": [{"kind": "Secret", "name": "v"}, {"kind": "ConfigMap", "name": "w"}],
                "kubeConfig": {"secretRef": {"name": "k"}}}),
            json!({}),
        );
        for (kind, name, want) in [
            ("Secret", "v", true),
            ("ConfigMap", "v", false),
            ("ConfigMap", "w", true),
            ("Secret", "k", true),
            ("ConfigMap", "k", false),
        ] {
            assert_eq!(names(&object, kind, name), want, "{kind} {name}");
        }
    }
}
