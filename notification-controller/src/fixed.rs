//! Alerts and Providers: data without a status, of which only finalizers are looked after.

use crate::STATUS_MANAGER;
use crate::context::{Context, api_error};
use kube::Api;
use sluice_api::meta::FINALIZER;
use sluice_api::notification::{Alert, Provider};
use sluice_runtime::events::Event;
use sluice_runtime::{Key, Outcome, Pass, Reconciler, finalizer, requests};
use std::sync::Arc;

/// Removes the finalizer that Alerts had before they became data.
pub(crate) struct AlertReconciler {
    pub(crate) cx: Arc<Context>,
}

impl Reconciler for AlertReconciler {
    type Object = Alert;

    async fn reconcile(&self, pass: Pass<Alert>) -> Outcome {
        let alert = pass.object.as_ref();
        let left_alone = alert.spec.suspend && !requests::is_deleted(alert);
        if !finalizer::has(alert, FINALIZER) || left_alone {
            return Outcome::Done;
        }
        let api: Api<Alert> = Api::namespaced(self.cx.client.clone(), &pass.key.namespace);
        match finalizer::remove(&api, alert, FINALIZER, STATUS_MANAGER).await {
            Ok(_) => {
                let text = "removed finalizer from Alert to migrate to static Alert";
                self.cx.events.record(alert, Event::info("Migration", text));
                Outcome::Done
            }
            Err(err) => Outcome::failed(format!("cannot remove finalizer: {}", api_error(&err))),
        }
    }
}

/// Keeps the finalizer on Providers while they live, and lets go of their lanes when they go.
pub(crate) struct ProviderReconciler {
    pub(crate) cx: Arc<Context>,
}

impl Reconciler for ProviderReconciler {
    type Object = Provider;

    async fn reconcile(&self, pass: Pass<Provider>) -> Outcome {
        let provider = pass.object.as_ref();
        let api: Api<Provider> = Api::namespaced(self.cx.client.clone(), &pass.key.namespace);
        let done = match (requests::is_deleted(provider), finalizer::has(provider, FINALIZER)) {
            (true, true) => finalizer::remove(&api, provider, FINALIZER, STATUS_MANAGER).await.map(drop),
            (false, false) => finalizer::add(&api, provider, FINALIZER, STATUS_MANAGER).await.map(drop),
            _ => return Outcome::Done,
        };
        match done {
            Ok(()) => Outcome::Done,
            Err(err) => Outcome::failed(format!("cannot change finalizer: {}", api_error(&err))),
        }
    }

    fn removed(&self, key: &Key) {
        self.cx.lanes.forget(key);
    }
}
