//! Both controllers, a Git repository, and an app that must be in the cluster exactly as Git says.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use kube::api::{DeleteParams, DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, ResourceExt};
use serde_json::Value;
use sluice_git::testing::{GitServer, Options, Repository};
use sluice_tests::{Cluster, Controller, Kind, eventually, flux};

/// The Flux objects of the app.
pub(crate) const APP: &str = "app";
/// The namespace of its objects.
const NAMESPACE: &str = "killed";
/// Kinds of its objects: group, version, kind.
const KINDS: [(&str, &str, &str); 5] = [
    ("", "v1", "ConfigMap"),
    ("", "v1", "Service"),
    ("", "v1", "ServiceAccount"),
    ("apps", "v1", "Deployment"),
    ("rbac.authorization.k8s.io", "v1", "ClusterRole"),
];

const BASE: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: app}
---
apiVersion: v1
kind: Service
metadata: {name: app}
spec: {selector: {app: app}, ports: [{port: 80, targetPort: 8080, protocol: TCP}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: killed-app}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get]}]
"#;

/// What a test works on.
pub(crate) struct World<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) source: Controller,
    pub(crate) kustomize: Controller,
    server: GitServer,
    repository: Repository,
    version: usize,
}

/// What was in the cluster, by kind, namespace and name: the uid of each object.
pub(crate) type Seen = BTreeMap<String, String>;

impl<'a> World<'a> {
    /// Starts the controllers, with the first version of the app in Git and nothing of it in the cluster.
    pub(crate) async fn new(cluster: &'a Cluster) -> Result<Self> {
        let program = env!("CARGO_BIN_EXE_controller");
        flux::install(cluster).await?;
        cluster.namespace(NAMESPACE).await?;
        let collect_at_once = ["--artifact-retention-ttl=1ms", "--artifact-retention-records=1"];
        let source = Controller::start(cluster, program, Kind::Source, &collect_at_once).await?;
        let soon = ["--requeue-dependency=1s"];
        let kustomize = Controller::start(cluster, program, Kind::Kustomize, &soon).await?;
        let server = GitServer::start(Options::default()).await;
        let repository = server.repository("app.git");
        let mut world = Self { cluster, source, kustomize, server, repository, version: 0 };
        world.commit();
        Ok(world)
    }

    pub(crate) fn controller(&mut self, kind: Kind) -> &mut Controller {
        match kind {
            Kind::Source => &mut self.source,
            Kind::Kustomize | Kind::Helm | Kind::Notification => &mut self.kustomize,
        }
    }

    /// Commits the next version of the app, which changes objects, adds one and takes the one away that the version
    /// before added.
    pub(crate) fn commit(&mut self) -> String {
        if self.version > 0 {
            self.repository.remove(&format!("app/more-{}.yaml", self.version));
        }
        self.version += 1;
        let version = self.version;
        let settings = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {{version: v{version}}}\n"
        );
        let more =
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: more-{version}}}\ndata: {{a: b}}\n");
        let workload = format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: app}}\nspec:\n  selector: {{matchLabels: {{app: app}}}}\n  \
             template:\n    metadata: {{labels: {{app: app}}}}\n    spec:\n      serviceAccountName: app\n      \
             containers: [{{name: app, image: 'registry.example.com/app:v{version}'}}]\n"
        );
        let kustomization = format!(
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: {NAMESPACE}\n\
             resources: [base.yaml, settings.yaml, workload.yaml, more-{version}.yaml]\n"
        );
        self.repository
            .write("app/kustomization.yaml", kustomization)
            .write("app/base.yaml", BASE)
            .write("app/settings.yaml", settings)
            .write("app/workload.yaml", workload)
            .write(&format!("app/more-{version}.yaml"), more);
        self.repository.commit(&format!("version {version}"))
    }

    /// Commits a file that takes a while to fetch and to pack, beside a new version of the app.
    pub(crate) fn commit_large(&mut self, bytes: usize) -> String {
        // Xorshift: nothing that compresses, and the same in each run of the same version.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ self.version as u64;
        let content: Vec<u8> = (0..bytes.div_ceil(8))
            .flat_map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()
            })
            .collect();
        self.repository.write("large.bin", content);
        self.commit()
    }

    /// The newest commit.
    pub(crate) fn head(&self) -> String {
        self.repository.head()
    }

    pub(crate) async fn apply_source(&self) -> Result<()> {
        self.cluster.apply(&flux::git_repository(APP, &self.server.url("app.git"))).await.map(drop)
    }

    pub(crate) async fn apply_kustomization(&self) -> Result<()> {
        self.cluster.apply(&flux::kustomization(APP, "GitRepository", APP, "./app")).await.map(drop)
    }

    /// Deletes a Flux object, without waiting for its end.
    pub(crate) async fn delete(&self, kind: &str) -> Result<()> {
        flux::objects(self.cluster, kind)?.delete(APP, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Waits until a Flux object is gone.
    pub(crate) async fn gone(&self, kind: &str) -> Result<()> {
        let api = flux::objects(self.cluster, kind)?;
        eventually(&format!("the end of {kind} {APP}"), async || {
            Ok(api.get_opt(APP).await?.is_none().then_some(()))
        })
        .await
    }

    /// Asks for a pass over each Flux object that is there, and waits for their ends: what the controllers had to do
    /// after a restart is done then.
    pub(crate) async fn quiesce(&self) -> Result<()> {
        for kind in ["GitRepository", "Kustomization"] {
            if flux::objects(self.cluster, kind)?.get_opt(APP).await?.is_some() {
                flux::reconcile(self.cluster, kind, APP).await?;
            }
        }
        Ok(())
    }

    /// The objects that Git holds.
    fn wanted(&self) -> Result<Vec<Value>> {
        let root = self.repository.work();
        Ok(sluice_kustomize::build(root, &root.join("app"), &sluice_kustomize::Options::flux())?)
    }

    /// The objects in the cluster that carry the labels of the app's Kustomization.
    async fn live(&self) -> Result<Vec<DynamicObject>> {
        let label = "kustomize.toolkit.fluxcd.io";
        let labels = format!("{label}/name={APP},{label}/namespace={}", flux::NAMESPACE);
        let mut found = Vec::new();
        for (group, version, kind) in KINDS {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
            let api: Api<DynamicObject> = Api::all_with(self.cluster.client(), &resource);
            for mut object in api.list(&ListParams::default().labels(&labels)).await?.items {
                // The items of a list name no kind.
                object.types = Some(kube::core::TypeMeta {
                    api_version: resource.api_version.clone(),
                    kind: kind.into(),
                });
                found.push(object);
            }
        }
        Ok(found)
    }

    /// What is in the cluster now.
    pub(crate) async fn seen(&self) -> Result<Seen> {
        let live = self.live().await?;
        Ok(live.iter().map(|object| (id(object), object.uid().unwrap_or_default())).collect())
    }

    /// Fails unless the cluster holds exactly what Git does, and the inventory names exactly that. An object that was
    /// there before must be the same one still.
    pub(crate) async fn is_as_git_says(&self, before: &Seen) -> Result<()> {
        let wanted = self.wanted()?;
        let live = self.live().await?;
        let mut rest: BTreeMap<String, &DynamicObject> =
            live.iter().map(|object| (id(object), object)).collect();
        let mut inventory = BTreeSet::new();
        for want in &wanted {
            let object: DynamicObject = serde_json::from_value(want.clone())?;
            let id = id(&object);
            let found = rest.remove(&id).with_context(|| format!("{id} is in Git but not in the cluster"))?;
            let found_value = serde_json::to_value(found)?;
            ensure!(covers(&found_value, want), "{id} is not as in Git: {found_value:#}\nwanted: {want:#}");
            if let Some(uid) = before.get(&id) {
                ensure!(found.uid().as_ref() == Some(uid), "{id} has been made anew");
            }
            inventory.insert(entry(&object));
        }
        ensure!(rest.is_empty(), "not in Git but in the cluster: {:?}", rest.keys());
        let kustomization = flux::objects(self.cluster, "Kustomization")?.get(APP).await?;
        let stored: BTreeSet<String> = flux::inventory(&kustomization).into_iter().collect();
        ensure!(stored == inventory, "the inventory is {stored:?}, but Git holds {inventory:?}");
        Ok(())
    }

    /// Fails if kustomize-controller has asked for the end of anything that `may_go` does not allow.
    pub(crate) fn deleted_only(&self, may_go: impl Fn(&str) -> bool) -> Result<()> {
        for request in self.cluster.requests()? {
            let deletes =
                request.user_agent.starts_with("kustomize-controller/") && request.verb.starts_with("delete");
            let path = request.uri.split('?').next().unwrap_or_default();
            ensure!(!deletes || may_go(path), "kustomize-controller has deleted {path}");
        }
        Ok(())
    }

    /// The version of the app in Git.
    pub(crate) fn version(&self) -> usize {
        self.version
    }

    /// Where source-controller keeps the artifacts of the app.
    pub(crate) fn storage(&self) -> std::path::PathBuf {
        self.cluster.folder().join("artifacts/gitrepository").join(flux::NAMESPACE).join(APP)
    }
}

/// `Kind namespace/name`.
fn id(object: &DynamicObject) -> String {
    let kind = object.types.as_ref().map(|types| types.kind.clone()).unwrap_or_default();
    format!("{kind} {}/{}", object.namespace().unwrap_or_default(), object.name_any())
}

/// The id of an object in an inventory.
fn entry(object: &DynamicObject) -> String {
    let types = object.types.clone().unwrap_or_default();
    let group = types.api_version.rsplit_once('/').map_or("", |(group, _)| group);
    format!("{}_{}_{group}_{}", object.namespace().unwrap_or_default(), object.name_any(), types.kind)
}

/// Whether `live` has all that `want` says; the server may have added to it.
fn covers(live: &Value, want: &Value) -> bool {
    match (live, want) {
        (Value::Object(live), Value::Object(want)) => {
            want.iter().all(|(key, want)| live.get(key).is_some_and(|live| covers(live, want)))
        }
        (Value::Array(live), Value::Array(want)) => {
            live.len() == want.len() && live.iter().zip(want).all(|(live, want)| covers(live, want))
        }
        (live, want) => live == want,
    }
}
