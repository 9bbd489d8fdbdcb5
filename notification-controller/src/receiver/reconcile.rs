//! Looks after a Receiver: checks its spec, and publishes the path that its token gives.

use super::targets::Filters;
use super::{path, secret_name, token};
use crate::STATUS_MANAGER;
use crate::context::{Context, api_error};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use sluice_api::meta::{
    Duration as GoDuration, FINALIZER, INVALID_CEL_EXPRESSION_REASON, PROGRESSING_WITH_RETRY_REASON, READY,
    RECONCILING, STALLED, SUCCEEDED_REASON,
};
use sluice_api::notification::{Receiver, ReceiverSpec, ReceiverStatus, ReceiverType};
use sluice_runtime::controller::Handle;
use sluice_runtime::events::Event;
use sluice_runtime::{Key, Outcome, Pass, Reconciler, conditions, finalizer, requests};
use std::sync::Arc;
use std::time::Duration;

/// How often a Receiver is looked after, unless it says so.
const INTERVAL: Duration = Duration::from_secs(600);
/// Reason of Ready when fields do not go together.
const VALIDATION_FAILED: &str = "ValidationFailed";
/// Reason of Ready when there is no token.
const TOKEN_NOT_FOUND: &str = "TokenNotFound";
/// Reason of Ready when this version cannot check the calls of a type.
const UNSUPPORTED: &str = "UnsupportedType";

/// Reconciles Receivers.
pub(crate) struct ReceiverReconciler {
    cx: Arc<Context>,
    handle: Handle<Receiver>,
}

/// Why a pass over a Receiver ended without success.
enum Stop {
    /// Only a change of the spec can help.
    Terminal { reason: &'static str, message: String },
    /// The token may come.
    NoToken(String),
}

impl ReceiverReconciler {
    pub(crate) fn new(cx: Arc<Context>, handle: Handle<Receiver>) -> Self {
        Self { cx, handle }
    }

    async fn pass(&self, api: &Api<Receiver>, key: &Key, stored: Receiver) -> Outcome {
        let mut receiver = stored.clone();
        let generation = requests::generation(&receiver);
        let interval = receiver.spec.interval.as_ref().map_or(INTERVAL, |interval| interval.to_std());
        let result = match receiver.spec.suspend {
            true => None,
            false => Some(self.steps(key, &receiver).await),
        };
        let requested = requests::requested_at(&receiver).map(str::to_owned);
        let status = receiver
            .status
            .get_or_insert_with(|| ReceiverStatus { observed_generation: -1, ..Default::default() });
        if requested.is_some() {
            status.last_handled_reconcile_at = requested;
        }
        let list = &mut status.conditions;
        let (event, outcome) = match result {
            None => {
                if conditions::is_true(list, READY) {
                    status.observed_generation = generation;
                }
                (None, Outcome::Done)
            }
            Some(Ok(path)) => {
                let text = format!("Receiver initialized for path: {path}");
                conditions::remove(list, RECONCILING);
                conditions::remove(list, STALLED);
                conditions::mark_true(list, generation, READY, SUCCEEDED_REASON, text);
                status.webhook_path = Some(path);
                status.observed_generation = generation;
                let text = format!("Reconciliation finished, next run in {}", GoDuration::format(interval));
                (Some(Event::info(SUCCEEDED_REASON, text)), Outcome::After(interval))
            }
            Some(Err(Stop::Terminal { reason, message })) => {
                let text = format!("Reconciliation failed terminally due to configuration error: {message}");
                conditions::mark_stalled(list, generation, reason, text.clone());
                conditions::mark_false(list, generation, READY, reason, text.clone());
                status.observed_generation = generation;
                (Some(Event::error(reason, text.clone())), Outcome::terminal(text))
            }
            Some(Err(Stop::NoToken(message))) => {
                let progress = "Reconciliation in progress";
                conditions::mark_reconciling(list, generation, PROGRESSING_WITH_RETRY_REASON, progress);
                conditions::mark_false(list, generation, READY, TOKEN_NOT_FOUND, message.clone());
                status.webhook_path = None;
                (Some(Event::error("Failed", message.clone())), Outcome::failed(message))
            }
        };
        match self.cx.patcher.patch(api, &stored, &receiver).await {
            Ok(Some(object)) => self.handle.store().observe(object),
            Ok(None) => {}
            Err(err) if err.is_not_found() => return Outcome::Done,
            Err(err) => return Outcome::failed(format!("failed to update status: {err}")),
        }
        if let Some(event) = event {
            self.cx.events.record(&receiver, event);
        }
        outcome
    }

    /// The path, if all is in order.
    async fn steps(&self, key: &Key, receiver: &Receiver) -> Result<String, Stop> {
        let terminal = |reason| move |message| Stop::Terminal { reason, message };
        Filters::new(receiver).map_err(terminal(INVALID_CEL_EXPRESSION_REASON))?;
        cross_fields(&receiver.spec).map_err(terminal(VALIDATION_FAILED))?;
        if matches!(receiver.spec.type_, ReceiverType::Gcr | ReceiverType::GenericOidc) {
            let message = format!(
                "receivers of type {} are not built yet in this version: tokens of OpenID Connect cannot be checked; use another type",
                receiver.spec.type_
            );
            return Err(Stop::Terminal { reason: UNSUPPORTED, message });
        }
        let name = secret_name(&receiver.spec);
        let api: Api<Secret> = Api::namespaced(self.cx.client.clone(), &key.namespace);
        let secret = api.get(name).await.map_err(|err| {
            let cause = api_error(&err);
            Stop::NoToken(format!(
                "unable to read token from secret '{}/{name}' error: {cause}",
                key.namespace
            ))
        })?;
        Ok(path(token(&secret, key, name).map_err(Stop::NoToken)?, key))
    }
}

impl Reconciler for ReceiverReconciler {
    type Object = Receiver;

    async fn reconcile(&self, pass: Pass<Receiver>) -> Outcome {
        let api: Api<Receiver> = Api::namespaced(self.cx.client.clone(), &pass.key.namespace);
        let mut receiver = Receiver::clone(&pass.object);
        if requests::is_deleted(&receiver) {
            if !finalizer::has(&receiver, FINALIZER) {
                return Outcome::Done;
            }
            return match finalizer::remove(&api, &receiver, FINALIZER, STATUS_MANAGER).await {
                Ok(_) => Outcome::Done,
                Err(err) => Outcome::failed(format!("cannot remove finalizer: {}", api_error(&err))),
            };
        }
        if !finalizer::has(&receiver, FINALIZER) {
            match finalizer::add(&api, &receiver, FINALIZER, STATUS_MANAGER).await {
                Ok(object) => {
                    self.handle.store().observe(object.clone());
                    receiver = object;
                }
                Err(err) => return Outcome::failed(format!("cannot add finalizer: {}", api_error(&err))),
            }
        }
        self.pass(&api, &pass.key, receiver).await
    }
}

/// What API servers with the definition of the kind refuse already.
fn cross_fields(spec: &ReceiverSpec) -> Result<(), String> {
    let oidc = spec.type_ == ReceiverType::GenericOidc;
    let problem = if oidc && spec.oidc_providers.is_empty() {
        "generic-oidc receiver requires at least one oidcProvider"
    } else if !oidc && !spec.oidc_providers.is_empty() {
        "oidcProviders can only be set when type is generic-oidc"
    } else if oidc && spec.secret_ref.is_some() {
        "secretRef cannot be set when type is generic-oidc"
    } else if !oidc && spec.secret_ref.is_none() {
        "secretRef is required when type is not generic-oidc"
    } else {
        return Ok(());
    };
    Err(problem.to_owned())
}
