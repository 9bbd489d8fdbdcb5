//! What both endpoints need to know, on every replica: Alerts, Providers and Receivers; and the Secrets of Receivers.

use crate::config::DISABLE_CONFIG_WATCHERS;
use crate::context::Context;
use crate::matching::Matcher;
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use sluice_api::notification::{Alert, Provider, Receiver};
use sluice_runtime::controller::{Cause, Handle, Key};
use sluice_runtime::process::Tasks;
use sluice_runtime::watch::{Change, Watched};
use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::Arc;

/// Starts the watches that the endpoints read from.
pub(crate) fn start(cx: &Arc<Context>, tasks: &mut Tasks) {
    follow(cx, tasks, &cx.alerts, |alert: &Alert| Arc::new(Matcher::new(Arc::new(alert.clone()))));
    follow(cx, tasks, &cx.providers, |provider: &Provider| Arc::new(provider.clone()));
    follow(cx, tasks, &cx.receivers, |receiver: &Receiver| Arc::new(receiver.clone()));
}

fn follow<K, S>(
    cx: &Arc<Context>,
    tasks: &mut Tasks,
    known: &Watched<S>,
    project: impl Fn(&K) -> S + Send + Sync + 'static,
) where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    K: Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    S: Clone + PartialEq + Send + Sync + 'static,
{
    let (cx, known, shutdown) = (cx.clone(), known.clone(), tasks.shutdown());
    tasks.spawn(format!("{} watch", K::kind(&())), async move {
        let api: Api<K> = cx.config.common.api(&cx.client);
        let config = watcher::Config::default().page_size(100);
        known.run(api, config, project, |_| {}, shutdown).await;
        Ok::<_, Infallible>(())
    });
}

/// Wakes Receivers when their Secret changes, if it is labelled for that.
pub(crate) fn secrets(cx: &Arc<Context>, tasks: &mut Tasks, handle: Handle<Receiver>) {
    if cx.gates.enabled(DISABLE_CONFIG_WATCHERS) {
        return;
    }
    let (cx, shutdown) = (cx.clone(), tasks.shutdown());
    tasks.spawn("Secret watch", async move {
        let api: Api<PartialObjectMeta<Secret>> = cx.config.common.api(&cx.client);
        let selector = &cx.config.common.watch_configs_label_selector;
        let config = watcher::Config::default().page_size(100).labels(selector);
        let changed = |change: Change<'_, Option<String>>| {
            let key = match change {
                Change::Appeared { first_list: true, .. } => return,
                Change::Appeared { key, .. } | Change::Changed { key, .. } | Change::Gone { key, .. } => key,
            };
            for receiver in handle.store().list() {
                let own = Key::of(receiver.as_ref());
                let secret = receiver.spec.secret_ref.as_ref().map(|reference| reference.name.as_str());
                if own.namespace == key.namespace && secret == Some(&*key.name) {
                    handle.trigger(own, Cause::related("Secret", &key.namespace, &key.name));
                }
            }
        };
        let version = |secret: &PartialObjectMeta<Secret>| secret.metadata.resource_version.clone();
        Watched::<Option<String>>::default().run(api, config, version, changed, shutdown).await;
        Ok::<_, Infallible>(())
    });
}
