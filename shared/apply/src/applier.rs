//! One pass over the objects of one owner: prepare all of a stage by dry runs, then apply what differs.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    change::{Change, ChangeSet},
    cluster::Cluster,
    error::{ApplyError, ObjectError},
    fingerprint::{Sum, Summer},
    ignore::IgnoreRules,
    object::{GroupKind, ObjectId, Owner},
    order::{self, Stage},
    stage::Item,
    wait::{Evaluate, WaitOptions},
};

/// How objects are applied.
#[derive(Clone)]
pub struct Options {
    /// Requests in flight at a time (`--concurrent-ssa`).
    pub concurrent: usize,
    /// Recreate objects when a change is refused as immutable (`spec.force`).
    pub force: bool,
    /// Before an apply, rewrite managed fields of other API versions to the manifest's (gate `MigrateAPIVersion`).
    pub migrate_versions: bool,
    /// Drift that is left alone (`spec.ignore`).
    pub ignore: IgnoreRules,
    /// Kinds of the third stage (`--custom-apply-stage-kinds`).
    pub custom_stage: Vec<GroupKind>,
    /// Longest wait for the definitions of a stage to be ready, and for a forced deletion.
    pub stage_timeout: Duration,
    /// Custom readiness checks, used in stage waits too.
    pub evaluators: Vec<Arc<dyn Evaluate>>,
    /// Who the requests are made as, such as the impersonated account: another identity applies anew.
    pub identity: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            concurrent: 8,
            force: false,
            migrate_versions: false,
            ignore: IgnoreRules::default(),
            custom_stage: Vec::new(),
            stage_timeout: Duration::from_secs(60),
            evaluators: Vec::new(),
            identity: String::new(),
        }
    }
}

/// Applies, prunes and waits for the objects of one owner. Cheap to make: one per pass.
#[derive(Clone)]
pub struct Applier {
    pub(crate) cluster: Cluster,
    pub(crate) client: kube::Client,
    pub(crate) owner: Arc<Owner>,
    pub(crate) options: Options,
    salt: Sum,
}

impl Applier {
    /// `client` is the identity that reads and writes the objects; `cluster` must be of the same API server.
    pub fn new(cluster: &Cluster, client: kube::Client, owner: Owner, options: Options) -> Self {
        let salt = Summer::default().text(&options.identity).text(&format!("{:?}", options.ignore)).finish();
        Self { cluster: cluster.clone(), client, owner: Arc::new(owner), options, salt }
    }

    /// Applies objects in stages; each object must carry the labels of its owner (see [`crate::prepare`]).
    ///
    /// Of each stage all changed objects are checked by dry runs first; when any is refused, nothing of the stage is
    /// applied. Objects that are as this process left them cost no request, and one that alone has changed since costs
    /// one: its refusal leaves the stage untouched as well.
    ///
    /// # Errors
    /// [`ApplyError`] with all failures of the first stage that failed, and what had been done until then.
    pub async fn apply(&self, objects: Vec<Value>) -> Result<ChangeSet, ApplyError> {
        let mut finished = ChangeSet::default();
        let items = match self.items(objects) {
            Ok(items) => items,
            Err(errors) => return Err(ApplyError { errors, finished, partial: ChangeSet::default() }),
        };
        let mut stages: [Vec<Item>; 4] = Default::default();
        for item in items {
            let stage = Stage::of(&item.id.group, &item.id.kind, &self.options.custom_stage);
            stages[stage as usize].push(item);
        }
        for (items, stage) in
            stages.into_iter().zip([Stage::Definitions, Stage::Classes, Stage::Custom, Stage::Rest])
        {
            if items.is_empty() {
                continue;
            }
            let done = match self.stage(items).await {
                Ok(done) => done,
                Err((errors, partial)) => {
                    return Err(ApplyError { errors, finished, partial: ChangeSet(partial) });
                }
            };
            let done = ChangeSet(done);
            if stage.waits()
                && let Err(error) = self.stage_ready(&done).await
            {
                return Err(ApplyError { errors: vec![ObjectError::Stage(error)], finished, partial: done });
            }
            finished.0.extend(done.0);
        }
        Ok(finished)
    }

    /// Checks names and kinds, refuses two manifests of one object, and sorts.
    fn items(&self, objects: Vec<Value>) -> Result<Vec<Item>, Vec<ObjectError>> {
        let mut items = Vec::with_capacity(objects.len());
        let mut errors = Vec::new();
        for object in objects {
            let (id, version) = ObjectId::of(&object);
            if id.name.is_empty() || id.kind.is_empty() || version.is_empty() {
                let cause = "apiVersion, kind and metadata.name must not be empty".to_owned();
                errors.push(ObjectError::Manifest { id, cause });
                continue;
            }
            let wanted = Summer::default().text(&hex::encode(self.salt)).value(&object).finish();
            items.push(Item { id, version, object, wanted });
        }
        items.sort_by(|a, b| order::compare(&a.id, &b.id));
        for pair in items.windows(2) {
            if pair[0].id == pair[1].id {
                let cause = "the object is given twice; remove one of its manifests".to_owned();
                errors.push(ObjectError::Manifest { id: pair[0].id.clone(), cause });
            }
        }
        if errors.is_empty() { Ok(items) } else { Err(errors) }
    }

    /// Dry runs of all items, then the applies in order, those of one kind at the same time.
    async fn stage(&self, items: Vec<Item>) -> Result<Vec<Change>, (Vec<ObjectError>, Vec<Change>)> {
        let inner = &self.cluster.inner;
        let known = |item: &Item| {
            inner.known(&item.id, &self.owner, &item.wanted).is_some_and(|(_, watched)| watched)
        };
        let alone = items.iter().filter(|item| !known(item)).count() == 1;
        let planned: Vec<_> = stream::iter(items.into_iter().map(|item| self.plan(item, alone)))
            .buffered(self.options.concurrent.max(1))
            .collect()
            .await;
        let mut plans = Vec::with_capacity(planned.len());
        let mut errors = Vec::new();
        for plan in planned {
            match plan {
                Ok(plan) => plans.push(plan),
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err((errors, Vec::new()));
        }
        let mut done = Vec::with_capacity(plans.len());
        for wave in order::waves(plans, |plan| plan.id()) {
            let outcomes: Vec<_> = stream::iter(wave.into_iter().map(|plan| self.carry_out(plan)))
                .buffered(self.options.concurrent.max(1))
                .collect()
                .await;
            for outcome in outcomes {
                match outcome {
                    Ok(change) => done.push(change),
                    Err(error) => errors.push(error),
                }
            }
            if !errors.is_empty() {
                return Err((errors, done));
            }
        }
        Ok(done)
    }

    async fn stage_ready(&self, done: &ChangeSet) -> Result<(), String> {
        let options = WaitOptions {
            timeout: self.options.stage_timeout,
            interval: Duration::from_millis(500),
            evaluators: self.options.evaluators.clone(),
            ..WaitOptions::default()
        };
        self.wait(&done.targets(), &options, &CancellationToken::new())
            .await
            .map(drop)
            .map_err(|e| e.to_string())
    }
}
