//! What wakes a Kustomization besides itself: sources, labelled ConfigMaps and Secrets, dependencies, drift.

use crate::config::{DISABLE_CONFIG_WATCHERS, EXTERNAL_ARTIFACT};
use crate::context::Context;
use crate::source::Artifact;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::watcher;
use kube::{Api, Resource};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use sluice_api::ArtifactSource;
use sluice_api::kustomize::Kustomization;
use sluice_api::meta::{READY, ValuesKind};
use sluice_api::source::{Bucket, ExternalArtifact, GitRepository, OCIRepository};
use sluice_runtime::conditions;
use sluice_runtime::controller::{Cause, Key};
use sluice_runtime::process::Tasks;
use sluice_runtime::watch::{Change, Watched};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Passes that drift may ask for at once, per Kustomization.
const DRIFT_BURST: f64 = 10.0;
/// Time until drift may ask for one more.
const DRIFT_REFILL: Duration = Duration::from_secs(20);
/// Drift of several objects within this time counts as one.
const DRIFT_TOGETHER: Duration = Duration::from_millis(500);

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
    let (mut order, mut seen) = (Vec::new(), HashSet::new());
    for key in affected.keys() {
        visit(key, &affected, &mut seen, &mut order);
    }
    order
}

/// Depth first; a cycle is entered once, so that all of it is woken in some order.
fn visit(key: &Key, all: &BTreeMap<Key, Arc<Kustomization>>, seen: &mut HashSet<Key>, order: &mut Vec<Key>) {
    // An explicit stack: chains of dependencies can be as long as there are objects.
    let mut stack = vec![(key.clone(), false)];
    while let Some((key, done)) = stack.pop() {
        let Some(object) = all.get(&key) else { continue };
        if done {
            order.push(key);
        } else if seen.insert(key.clone()) {
            let needs = object.spec.depends_on.iter().rev().map(|dependency| {
                let namespace =
                    dependency.namespace.as_deref().filter(|n| !n.is_empty()).unwrap_or(&key.namespace);
                (Key::new(namespace, &dependency.name), false)
            });
            let needs: Vec<_> = needs.collect();
            stack.push((key, true));
            stack.extend(needs);
        }
    }
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

/// Wakes the Kustomizations that wait for this one, instead of letting them wait for their timer.
pub(crate) fn wake_dependents(context: &Context, key: &Key) {
    for object in context.handle.store().list() {
        // Most depend on nothing, and this runs after each success.
        if object.spec.depends_on.is_empty() {
            continue;
        }
        let own = Key::of(object.as_ref());
        let waits = context.held.contains(&own)
            || object.status.as_ref().is_some_and(|status| {
                conditions::reason(&status.conditions, READY) == sluice_api::meta::DEPENDENCY_NOT_READY_REASON
            });
        let depends = object.spec.depends_on.iter().any(|dependency| {
            let namespace =
                dependency.namespace.as_deref().filter(|n| !n.is_empty()).unwrap_or(&own.namespace);
            *dependency.name == *key.name && *namespace == *key.namespace
        });
        if waits && depends {
            context.handle.trigger(own, Cause::related("Kustomization", &key.namespace, &key.name));
        }
    }
}

/// The Kustomizations whose pass waits for another object without having said so in the status.
#[derive(Debug, Default)]
pub(crate) struct Held(Mutex<HashSet<Key>>);

impl Held {
    /// Notes a wait, until what is returned is dropped.
    pub(crate) fn enter(&self, key: &Key) -> impl Drop + use<'_> {
        self.0.lock().insert(key.clone());
        HeldGuard { held: self, key: key.clone() }
    }

    fn contains(&self, key: &Key) -> bool {
        self.0.lock().contains(key)
    }
}

struct HeldGuard<'a> {
    held: &'a Held,
    key: Key,
}

impl Drop for HeldGuard<'_> {
    fn drop(&mut self) {
        self.held.0.lock().remove(&self.key);
    }
}

/// Keeps a Kustomization and another controller from fighting over a field without end.
///
/// Drift may ask for a burst of passes, then for one now and then; the interval is what remains.
#[derive(Debug, Default)]
pub(crate) struct DriftBudget(Mutex<HashMap<Key, Budget>>);

#[derive(Debug)]
struct Budget {
    left: f64,
    last: Instant,
}

impl DriftBudget {
    /// Whether drift may ask for a pass now.
    pub(crate) fn spend(&self, key: &Key) -> bool {
        let now = Instant::now();
        let mut budgets = self.0.lock();
        if budgets.len() > 4096 {
            let full = DRIFT_REFILL.mul_f64(DRIFT_BURST);
            budgets.retain(|_, budget| now.duration_since(budget.last) < full);
        }
        let budget = budgets
            .entry(key.clone())
            .or_insert_with(|| Budget { left: DRIFT_BURST, last: now - DRIFT_TOGETHER });
        let elapsed = now.duration_since(budget.last);
        if elapsed < DRIFT_TOGETHER {
            return budget.left >= 0.0;
        }
        budget.left = (budget.left + elapsed.as_secs_f64() / DRIFT_REFILL.as_secs_f64()).min(DRIFT_BURST);
        budget.last = now;
        if budget.left < 1.0 {
            return false;
        }
        budget.left -= 1.0;
        true
    }
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

    #[tokio::test(start_paused = true)]
    async fn drift_without_end_is_slowed_down() {
        let (budget, key) = (DriftBudget::default(), Key::new("ns", "a"));
        let mut passes = 0;
        for _ in 0..120 {
            passes += u32::from(budget.spend(&key));
            assert!(budget.spend(&Key::new("ns", "other")) || passes > 0);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert!((12..=18).contains(&passes), "{passes} passes in two minutes");
    }
}
