//! What all cases share: the controllers, an app per case, and what must not change while its input is bad.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use futures::StreamExt;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::{Api, ResourceExt};
use serde_json::Value;
use sluice_tests::{Cluster, Controller, Kind, flux};

/// What either controller may need at most, unoptimised, whatever it is given: a part of the worst inputs here.
const MEMORY: u64 = 200 << 20;
/// Cases at a time.
const AT_ONCE: usize = 6;

/// The running app of a case: a Deployment and two ConfigMaps, in the namespace of the case's name.
pub(crate) const GOOD: [(&str, &str); 4] = [
    ("app/kustomization.yaml", "resources: [first.yaml, second.yaml, workload.yaml]\n"),
    ("app/first.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: first}\ndata: {a: good}\n"),
    ("app/second.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: second}\ndata: {a: good}\n"),
    (
        "app/workload.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: app}\nspec:\n  selector: {matchLabels: {app: app}}\n  \
         template:\n    metadata: {labels: {app: app}}\n    spec: {containers: [{name: app, image: 'registry.example.com/app:v1'}]}\n",
    ),
];

/// A cluster with both controllers.
pub(crate) struct World<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) source: Controller,
    pub(crate) kustomize: Controller,
}

/// What is expected of a bad input.
pub(crate) struct Expect {
    /// The kind that tells of it: the source's, or `Kustomization`.
    pub(crate) kind: &'static str,
    /// The reason of its Ready condition.
    pub(crate) reason: &'static str,
    /// What the message of its Ready condition must hold: what was tried, on what, what came back.
    pub(crate) says: Vec<String>,
}

/// One bad input.
pub(crate) trait Case {
    /// Name of the case, its namespace and its Flux objects.
    fn name(&self) -> String;

    /// The kind of its source.
    fn source_kind(&self) -> &'static str;

    /// Makes the good input and applies the source.
    async fn begin(&mut self, world: &World<'_>) -> Result<()>;

    /// Makes the input bad.
    async fn spoil(&mut self, world: &World<'_>) -> Result<Expect>;

    /// Makes it good again, with a change; returns how the new revision ends.
    async fn repair(&mut self, world: &World<'_>) -> Result<String>;
}

impl<'a> World<'a> {
    pub(crate) async fn new(cluster: &'a Cluster) -> Result<Self> {
        flux::install(cluster).await?;
        let program = env!("CARGO_BIN_EXE_controller");
        let source = Controller::start(cluster, program, Kind::Source, &["--concurrent=4"]).await?;
        // Artifacts come from servers that answer at once or never.
        let flags = ["--http-retry=0", "--requeue-dependency=1s"];
        let kustomize = Controller::start(cluster, program, Kind::Kustomize, &flags).await?;
        Ok(Self { cluster, source, kustomize })
    }

    /// Runs all cases, some at a time, and then looks at the memory of the controllers. Every failed case is told.
    pub(crate) async fn run<C: Case>(self, cases: Vec<C>) -> Result<()> {
        let world = &self;
        let runs = futures::stream::iter(cases).map(async |mut case| {
            let outcome = run(world, &mut case).await;
            outcome.with_context(|| format!("case {}", case.name()))
        });
        let outcomes: Vec<Result<()>> = runs.buffer_unordered(AT_ONCE).collect().await;
        let failures: Vec<String> =
            outcomes.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")).collect();
        ensure!(failures.is_empty(), "{} cases failed:\n{}", failures.len(), failures.join("\n\n"));
        for controller in [&self.source, &self.kustomize] {
            controller.check()?;
            let peak = controller.peak_memory()?;
            ensure!(peak < MEMORY, "a controller needed {} MiB", peak >> 20);
        }
        Ok(())
    }

    /// Changes the spec of a Flux object.
    pub(crate) async fn patch(&self, kind: &str, name: &str, patch: Value) -> Result<()> {
        flux::objects(self.cluster, kind)?.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }
}

async fn run(world: &World<'_>, case: &mut impl Case) -> Result<()> {
    let (name, kind) = (case.name(), case.source_kind());
    world.cluster.namespace(&name).await?;
    case.begin(world).await?;
    let mut kustomization = flux::kustomization(&name, kind, &name, "./app");
    kustomization["spec"]["targetNamespace"] = name.clone().into();
    world.cluster.apply(&kustomization).await?;
    flux::applied(world.cluster, &name, "").await.context("the good input")?;
    let before = State::of(world, kind, &name).await?;

    let expect = case.spoil(world).await?;
    flux::request(world.cluster, kind, &name).await?;
    for _ in 0..2 {
        let ready = failed(world, &expect, &name).await?;
        let message = ready["message"].as_str().unwrap_or_default();
        for part in &expect.says {
            ensure!(message.contains(part), "the message does not say {part:?}: {message}");
        }
        before.holds(world, kind, &name, &expect).await?;
        // A second failure must not do what the first did not.
        flux::reconcile(world.cluster, expect.kind, &name).await?;
    }

    let revision = case.repair(world).await.context("the repair")?;
    flux::request(world.cluster, kind, &name).await?;
    flux::request(world.cluster, "Kustomization", &name).await?;
    flux::applied(world.cluster, &name, &revision).await.context("after the repair")?;
    let after = State::of(world, kind, &name).await?;
    ensure!(after.inventory == before.inventory, "the inventory is at last {:?}", after.inventory);
    ensure!(
        after.uids() == before.uids(),
        "objects have been made anew: {:?} {:?}",
        before.uids(),
        after.uids()
    );
    Ok(())
}

/// Waits for the expected failure.
async fn failed(world: &World<'_>, expect: &Expect, name: &str) -> Result<Value> {
    flux::failed(world.cluster, expect.kind, name, expect.reason).await
}

/// What a bad input must leave alone.
#[derive(Debug, PartialEq)]
struct State {
    /// Of each object of the app: its uid, and what moves when somebody changes it.
    objects: BTreeMap<String, (String, String)>,
    artifact: Value,
    inventory: Vec<String>,
    applied: Value,
}

impl State {
    async fn of(world: &World<'_>, kind: &str, name: &str) -> Result<Self> {
        let mut objects = BTreeMap::new();
        for (group, kind, object) in
            [("", "ConfigMap", "first"), ("", "ConfigMap", "second"), ("apps", "Deployment", "app")]
        {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
            let api: Api<DynamicObject> = Api::namespaced_with(world.cluster.client(), name, &resource);
            let found = api.get(object).await.with_context(|| format!("{kind} {name}/{object}"))?;
            let moves = match found.metadata.generation {
                // Its status moves by itself.
                Some(generation) => generation.to_string(),
                None => found.resource_version().unwrap_or_default(),
            };
            objects.insert(format!("{kind}/{object}"), (found.uid().unwrap_or_default(), moves));
        }
        let source = flux::objects(world.cluster, kind)?.get(name).await?;
        let kustomization = flux::objects(world.cluster, "Kustomization")?.get(name).await?;
        Ok(Self {
            objects,
            artifact: source.data["status"]["artifact"].clone(),
            inventory: flux::inventory(&kustomization),
            applied: kustomization.data["status"]["lastAppliedRevision"].clone(),
        })
    }

    fn uids(&self) -> Vec<&str> {
        self.objects.values().map(|(uid, _)| uid.as_str()).collect()
    }

    /// Fails unless the app is as it was, and the last good artifact is where it was, if it is the source that failed.
    async fn holds(&self, world: &World<'_>, kind: &str, name: &str, expect: &Expect) -> Result<()> {
        let now = Self::of(world, kind, name).await?;
        ensure!(
            now.objects == self.objects,
            "the app has changed from {:?} to {:?}",
            self.objects,
            now.objects
        );
        // What a pass is about to apply is in it too, until the pass has failed.
        let lost = self.inventory.iter().find(|id| !now.inventory.contains(id));
        ensure!(lost.is_none(), "the inventory is now {:?}", now.inventory);
        ensure!(now.applied == self.applied, "lastAppliedRevision is now {}", now.applied);
        if expect.kind != kind {
            return Ok(());
        }
        ensure!(now.artifact == self.artifact, "the artifact is now {}", now.artifact);
        let (Some(url), Some(digest)) = (now.artifact["url"].as_str(), now.artifact["digest"].as_str())
        else {
            bail!("there is no artifact: {}", now.artifact)
        };
        let answer = reqwest::get(url).await?.error_for_status()?;
        let served = sluice_artifact::Algorithm::Sha256.digest(&answer.bytes().await?).to_string();
        ensure!(served == digest, "the artifact of {digest} is served as {served}");
        let kustomization = flux::objects(world.cluster, "Kustomization")?.get(name).await?;
        ensure!(
            flux::is_ready(&kustomization),
            "the Kustomization suffers: {:#}",
            kustomization.data["status"]
        );
        Ok(())
    }
}
