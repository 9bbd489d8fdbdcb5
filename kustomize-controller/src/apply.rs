//! Applies what was built, and deletes what is not in it any more.

use crate::attempt::{Attempt, PRUNE_FAILED, Stop};
use crate::build::Built;
use crate::config::{GROUP_CHANGE_LOG, MIGRATE_API_VERSION};
use serde_json::Value;
use sluice_api::meta::{
    PROGRESSING_REASON, RECONCILIATION_FAILED_REASON, ResourceInventory, ResourceRef, Selector,
};
use sluice_apply::ignore::{IgnoreRule, IgnoreRules, IgnoreTarget};
use sluice_apply::inventory::{self, Entry, ParseError};
use sluice_apply::{
    Action, Applier, ApplyError, Change, ChangeSet, Evaluate, GroupKind, ObjectError, ObjectId, Options,
    Owner, prepare,
};
use sluice_runtime::events::Event;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::info;

/// How long a new definition's kind may take to be served after the definition is ready.
const NEW_KIND_WITHIN: Duration = Duration::from_secs(15);
/// How often it is looked for meanwhile.
const NEW_KIND_POLL: Duration = Duration::from_millis(250);

/// What was applied. Only this can be pruned and waited for, so that neither follows a failed apply.
pub(crate) struct Applied {
    pub(crate) applier: Applier,
    pub(crate) changes: ChangeSet,
    /// The inventory before the pass.
    before: Vec<Entry>,
    digest: String,
}

impl Applied {
    /// The failure of a later step, which enters the history.
    pub(crate) fn failure(&self, reason: &'static str, message: String) -> Stop {
        Stop::Failed { reason, message, digest: Some(self.digest.clone()) }
    }
}

/// Applies the objects in stages.
///
/// Before anything is sent, the inventory in the status holds what is about to be applied: a process that dies in the
/// middle leaves no object behind that nobody knows of.
pub(crate) async fn objects(
    attempt: &mut Attempt<'_>,
    built: Built,
    rules: &[Arc<dyn Evaluate>],
) -> Result<Applied, Stop> {
    attempt.step("Detecting drift");
    let before = entries(&attempt.status().inventory)
        .map_err(|err| Stop::failed(RECONCILIATION_FAILED_REASON, err.to_string()))?;
    let applier = applier(attempt, rules)?;
    let objects = prepared(attempt, built.objects())?;
    let intended = intended(attempt, &objects).await;
    let mut known = before.clone();
    inventory::merge(&mut known, &intended);
    if known.len() > before.len() {
        attempt.announce(stored(&known)).await?;
    }
    match attempt.during(apply_with_new_kinds(&applier, objects)).await? {
        Ok(changes) => {
            attempt.status().inventory = Some(stored(&changes.inventory()));
            if changes.changed() {
                let lines = changes.lines(false);
                if attempt.cx.gates.enabled(GROUP_CHANGE_LOG) {
                    info!(output = ?changes.grouped(), "server-side apply completed");
                } else {
                    info!(output = lines, "server-side apply completed");
                }
                attempt.event(Event::info(PROGRESSING_REASON, lines));
            }
            Ok(Applied { applier, changes, before, digest: built.digest })
        }
        Err(err) => {
            let mut left = before.clone();
            inventory::merge(&mut left, &err.reached().inventory());
            let had_none = left.is_empty() && before.is_empty();
            attempt.status().inventory = (!had_none).then(|| stored(&left));
            Err(Stop::Failed {
                reason: RECONCILIATION_FAILED_REASON,
                message: err.to_string(),
                digest: Some(built.digest),
            })
        }
    }
}

/// Applies, and again for a while if a kind that the objects themselves define is not served yet: the API server tells
/// of a new definition's readiness a moment before it answers for the kind.
async fn apply_with_new_kinds(applier: &Applier, objects: Vec<Value>) -> Result<ChangeSet, ApplyError> {
    let defined: Vec<GroupKind> = objects.iter().filter_map(defined_kind).collect();
    if defined.is_empty() {
        return applier.apply(objects).await;
    }
    let deadline = Instant::now() + NEW_KIND_WITHIN;
    let mut earlier: Vec<Change> = Vec::new();
    loop {
        match applier.apply(objects.clone()).await {
            Err(err) if Instant::now() < deadline && err.errors.iter().any(|e| is_new_kind(e, &defined)) => {
                earlier.extend(err.reached().0);
                tokio::time::sleep(NEW_KIND_POLL).await;
            }
            Err(mut err) => {
                with_earlier(&mut err.finished, &earlier);
                return Err(err);
            }
            Ok(mut changes) => {
                with_earlier(&mut changes, &earlier);
                return Ok(changes);
            }
        }
    }
}

/// What an earlier try of the same pass wrote is not unchanged.
fn with_earlier(changes: &mut ChangeSet, earlier: &[Change]) {
    for change in changes.0.iter_mut().filter(|change| change.action == Action::Unchanged) {
        let wrote =
            |e: &&Change| e.id == change.id && matches!(e.action, Action::Created | Action::Configured);
        if let Some(first) = earlier.iter().find(wrote) {
            change.action = first.action;
        }
    }
}

fn defined_kind(object: &Value) -> Option<GroupKind> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    (text("/kind") == Some("CustomResourceDefinition"))
        .then(|| Some(GroupKind::new(text("/spec/group")?, text("/spec/names/kind")?)))
        .flatten()
}

fn is_new_kind(error: &ObjectError, defined: &[GroupKind]) -> bool {
    match error {
        ObjectError::DryRun { id, cause, .. } => {
            cause.starts_with("no matches for kind") && defined.contains(&id.group_kind())
        }
        _ => false,
    }
}

/// Deletes what the inventory before the pass holds and the pass did not apply.
pub(crate) async fn prune(attempt: &mut Attempt<'_>, applied: Applied) -> Result<Applied, Stop> {
    let mut now = applied.changes.inventory();
    let stale = inventory::stale(&applied.before, &now);
    if stale.is_empty() {
        return Ok(applied);
    }
    if !attempt.ks.spec.prune {
        attempt.cx.cluster.forget(&stale, &owner(attempt));
        return Ok(applied);
    }
    let pruned = attempt.during(applied.applier.prune(&stale)).await?;
    let lines = pruned.changes.lines(true);
    if !lines.is_empty() {
        info!("garbage collection completed: {lines}");
        attempt.event(Event::info(PROGRESSING_REASON, lines));
    }
    inventory::merge(&mut now, &pruned.survivors);
    attempt.status().inventory = Some(stored(&now));
    match pruned.result() {
        Ok(()) => Ok(applied),
        Err(err) => Err(applied.failure(PRUNE_FAILED, err.to_string())),
    }
}

/// The account that requests to the cluster are made as.
pub(crate) fn account<'a>(attempt: &'a Attempt<'_>) -> Option<&'a str> {
    let own = attempt.ks.spec.service_account_name.as_deref();
    own.filter(|name| !name.is_empty())
        .or(Some(attempt.cx.config.default_service_account.as_str()))
        .filter(|name| !name.is_empty())
}

/// An applier with the identity and the settings of the Kustomization.
pub(crate) fn applier(attempt: &Attempt<'_>, rules: &[Arc<dyn Evaluate>]) -> Result<Applier, Stop> {
    let (cx, spec) = (attempt.cx, &attempt.ks.spec);
    let fail = |message: String| Stop::failed(RECONCILIATION_FAILED_REASON, message);
    let ignore: Vec<IgnoreRule> = spec
        .ignore
        .iter()
        .map(|rule| IgnoreRule { paths: rule.paths.clone(), target: rule.target.as_ref().map(target) })
        .collect();
    let account = account(attempt);
    let client = cx
        .identities
        .service_account(&attempt.pass.key.namespace, account)
        .map_err(|err| fail(format!("failed to build kube client: {err}")))?;
    let options = Options {
        concurrent: cx.config.concurrent_ssa.max(1),
        force: spec.force,
        migrate_versions: cx.gates.enabled(MIGRATE_API_VERSION),
        ignore: IgnoreRules::new(&ignore).map_err(|err| fail(err.to_string()))?,
        custom_stage: cx.custom_stage.clone(),
        evaluators: rules.to_vec(),
        identity: account.unwrap_or_default().to_owned(),
        ..Options::default()
    };
    Ok(Applier::new(&cx.cluster, client, owner(attempt), options))
}

fn target(selector: &Selector) -> IgnoreTarget {
    IgnoreTarget {
        group: selector.group.clone(),
        version: selector.version.clone(),
        kind: selector.kind.clone(),
        name: selector.name.clone(),
        namespace: selector.namespace.clone(),
        label_selector: selector.label_selector.clone(),
        annotation_selector: selector.annotation_selector.clone(),
    }
}

fn owner(attempt: &Attempt<'_>) -> Owner {
    let key = &attempt.pass.key;
    Owner { namespace: key.namespace.to_string(), name: key.name.to_string() }
}

/// Owner labels, the peer's normalisation, common metadata; and nothing encrypted goes on.
fn prepared(attempt: &Attempt<'_>, mut objects: Vec<Value>) -> Result<Vec<Value>, Stop> {
    let (owner, keys) = (owner(attempt), attempt.cx.cluster.keys());
    for object in &mut objects {
        if is_encrypted(object) {
            let (id, _) = ObjectId::of(object);
            return Err(Stop::failed(
                RECONCILIATION_FAILED_REASON,
                format!(
                    "{id} is SOPS encrypted, configuring decryption is required for this secret to be reconciled\n"
                ),
            ));
        }
        prepare::own(object, &owner, keys);
        prepare::normalise(object);
        if let Some(common) = &attempt.ks.spec.common_metadata {
            prepare::common_metadata(object, &common.labels, &common.annotations);
        }
    }
    Ok(objects)
}

/// A Secret with SOPS' metadata, unless an annotation says that somebody else decrypts it.
fn is_encrypted(object: &Value) -> bool {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let left =
        text("/metadata/annotations/kustomize.toolkit.fluxcd.io~1decrypt").eq_ignore_ascii_case("disabled");
    text("/apiVersion") == "v1" && text("/kind") == "Secret" && object.get("sops").is_some() && !left
}

/// The ids under which the objects will be in the inventory. Those that cannot be known yet (a kind that comes with the
/// same pass) are left out: a wrong id could later delete what it does not mean.
async fn intended(attempt: &Attempt<'_>, objects: &[Value]) -> Vec<Entry> {
    let discovery = attempt.cx.cluster.discovery();
    let mut entries = Vec::with_capacity(objects.len());
    for object in objects {
        let (mut id, version) = ObjectId::of(object);
        let Ok(resource) = discovery.resource(&id.group, &version, &id.kind).await else { continue };
        if !resource.namespaced {
            id.namespace.clear();
        } else if id.namespace.is_empty() {
            continue;
        }
        entries.push(Entry { id, version });
    }
    entries
}

/// Reads the inventory of a status.
pub(crate) fn entries(inventory: &Option<ResourceInventory>) -> Result<Vec<Entry>, ParseError> {
    let entries = inventory.iter().flat_map(|inventory| &inventory.entries);
    entries
        .map(|entry| Ok(Entry { id: inventory::parse(&entry.id)?, version: entry.version.clone() }))
        .collect()
}

fn stored(entries: &[Entry]) -> ResourceInventory {
    let entries = entries
        .iter()
        .map(|entry| ResourceRef { id: inventory::format(&entry.id), version: entry.version.clone() });
    ResourceInventory { entries: entries.collect() }
}
