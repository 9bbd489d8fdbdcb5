//! `tree`: what a Kustomization or HelmRelease put on the cluster, and what the Kustomizations and HelmReleases among
//! that did.

use anyhow::{Result, anyhow, bail};
use futures::future::BoxFuture;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};
use sluice_apply::{ObjectId, inventory};
use sluice_release::{Cluster, Helm, Identity, Target};
use tokio_util::sync::CancellationToken;

use crate::arguments::TreeTarget;
use crate::failure::from_api;
use crate::kinds::{self, Kind};
use crate::objects::text;
use crate::session::Session;
use crate::talk;

/// How deep Kustomizations may apply Kustomizations: more is a cycle.
const MAX_DEPTH: usize = 64;

/// Prints the tree.
///
/// # Errors
/// Where a Kustomization of the tree is missing, or its inventory cannot be read.
pub(crate) async fn run(session: &Session, target: TreeTarget) -> Result<()> {
    let (kind, options): (&'static Kind, _) = match target {
        TreeTarget::Kustomization(options) => (&kinds::KUSTOMIZATION, options),
        TreeTarget::Helmrelease(options) => (&kinds::HELM_RELEASE, options),
    };
    let Some(name) = &options.name else { bail!("{} name is required", kind.human) };
    let root = ObjectId {
        group: kind.resource().group,
        kind: kind.kind.to_owned(),
        namespace: session.namespace.clone(),
        name: name.clone(),
    };
    let object = session.get(kind, &session.namespace, name).await?;
    let walk = Walk { session, cluster: Cluster::new(session.client.clone()), compact: options.compact };
    let mut path = vec![root.clone()];
    let resources = walk.below(&root, &object, &mut path).await?;
    let tree = Node { id: root, resources };
    let text = match options.output.as_deref() {
        Some("json") => format!("{}\n", serde_json::to_string_pretty(&tree.to_value())?),
        Some(_) => sluice_yaml::to_string(&tree.to_value()),
        None => format!("{}\n", tree.draw()),
    };
    Ok(talk::data(&text)?)
}

struct Node {
    id: ObjectId,
    resources: Vec<Node>,
}

/// A walk from what applies to what was applied.
struct Walk<'a> {
    session: &'a Session,
    cluster: Cluster,
    compact: bool,
}

impl Walk<'_> {
    /// What a Kustomization or HelmRelease put on the cluster; `path` holds those above and itself.
    fn below<'w>(
        &'w self,
        id: &'w ObjectId,
        object: &'w Value,
        path: &'w mut Vec<ObjectId>,
    ) -> BoxFuture<'w, Result<Vec<Node>>> {
        Box::pin(async move {
            // What it applied to another cluster cannot be followed from here, unless it is what was asked for.
            if path.len() > 1 && object.pointer("/spec/kubeConfig").is_some() {
                return Ok(Vec::new());
            }
            let objects = if id.kind == kinds::HELM_RELEASE.kind {
                self.released(id, object).await?
            } else {
                let entries = object.pointer("/status/inventory/entries").and_then(Value::as_array);
                let ids = entries.into_iter().flatten().map(|entry| entry["id"].as_str().unwrap_or_default());
                ids.map(inventory::parse).collect::<Result<_, _>>()?
            };
            let mut nodes = Vec::new();
            for id in objects {
                if path.contains(&id) || (self.compact && !id.group.contains("toolkit.fluxcd.io")) {
                    continue;
                }
                let mut resources = Vec::new();
                let applies = [&kinds::KUSTOMIZATION, &kinds::HELM_RELEASE].into_iter();
                let kind = applies.into_iter().find(|kind| {
                    kind.kind == id.kind && kind.resource().group == id.group && path.len() < MAX_DEPTH
                });
                if let Some(kind) = kind {
                    let nested = self
                        .session
                        .get(kind, &id.namespace, &id.name)
                        .await
                        .map_err(|error| anyhow!("failed to find object: {error}"))?;
                    path.push(id.clone());
                    resources = self.below(&id, &nested, path).await?;
                    path.pop();
                }
                nodes.push(Node { id, resources });
            }
            Ok(nodes)
        })
    }

    /// The objects of the newest revision that a HelmRelease knows of, and the CRDs of its chart.
    async fn released(&self, id: &ObjectId, object: &Value) -> Result<Vec<ObjectId>> {
        let newest = object.pointer("/status/history/0").unwrap_or(&Value::Null);
        let version = newest["version"].as_u64().and_then(|version| u32::try_from(version).ok());
        let Some(version) = version else { return Ok(Vec::new()) };
        let target = Target {
            release: text(newest, "/name").to_owned(),
            namespace: text(newest, "/namespace").to_owned(),
            storage_namespace: text(object, "/status/storageNamespace").to_owned(),
        };
        let helm = Helm::new(&self.cluster, target, Identity::default(), CancellationToken::new());
        let Some(release) = helm.get(version).await? else { return Ok(Vec::new()) };
        let inventory = helm
            .inventory(&release, None)
            .await
            .map_err(|error| anyhow!("cannot read the manifest of release {release}: {error}"))?;
        let mut ids: Vec<ObjectId> = inventory.entries.into_iter().map(|entry| entry.id).collect();
        let keeps = |action: &str| {
            let policy = text(object, &format!("/spec/{action}/crds"));
            !policy.is_empty() && policy != "Skip"
        };
        if keeps("install") || keeps("upgrade") {
            let labels = format!(
                "helm.toolkit.fluxcd.io/name={},helm.toolkit.fluxcd.io/namespace={}",
                id.name, id.namespace
            );
            let crds: Api<CustomResourceDefinition> = Api::all(self.session.client.clone());
            let labelled =
                crds.list_metadata(&ListParams::default().labels(&labels)).await.map_err(from_api)?;
            ids.extend(labelled.items.into_iter().filter_map(|crd| crd.metadata.name).map(|name| ObjectId {
                group: "apiextensions.k8s.io".to_owned(),
                kind: "CustomResourceDefinition".to_owned(),
                namespace: String::new(),
                name,
            }));
        }
        Ok(ids)
    }
}

impl Node {
    fn draw(&self) -> String {
        let mut text = format!("{}\n", label(&self.id));
        self.draw_below(&mut text, "");
        text
    }

    fn draw_below(&self, text: &mut String, indent: &str) {
        for (index, node) in self.resources.iter().enumerate() {
            let is_last = index + 1 == self.resources.len();
            let (branch, below) = if is_last { ("└── ", "    ") } else { ("├── ", "│   ") };
            text.push_str(&format!("{indent}{branch}{}\n", label(&node.id)));
            node.draw_below(text, &format!("{indent}{below}"));
        }
    }

    fn to_value(&self) -> Value {
        let mut value = json!({
            "resource": {
                "Namespace": self.id.namespace,
                "Name": self.id.name,
                "GroupKind": {"Group": self.id.group, "Kind": self.id.kind},
            },
        });
        if !self.resources.is_empty() {
            value["resources"] = self.resources.iter().map(Self::to_value).collect();
        }
        value
    }
}

fn label(id: &ObjectId) -> String {
    if id.namespace.is_empty() {
        format!("{}/{}", id.kind, id.name)
    } else {
        format!("{}/{}/{}", id.kind, id.namespace, id.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str, resources: Vec<Node>) -> Node {
        Node { id: inventory::parse(id).unwrap(), resources }
    }

    #[test]
    fn draws_branches_and_prints_values() {
        let tree = node(
            "flux-system_flux-system_kustomize.toolkit.fluxcd.io_Kustomization",
            vec![
                node("_flux-system__Namespace", vec![]),
                node(
                    "flux-system_infrastructure_kustomize.toolkit.fluxcd.io_Kustomization",
                    vec![
                        node("_cert-manager__Namespace", vec![]),
                        node("cert-manager_cert-manager_source.toolkit.fluxcd.io_HelmRepository", vec![]),
                    ],
                ),
                node("flux-system_flux-system_source.toolkit.fluxcd.io_GitRepository", vec![]),
            ],
        );
        assert_eq!(
            tree.draw(),
            "Kustomization/flux-system/flux-system
├── Namespace/flux-system
├── Kustomization/flux-system/infrastructure
│   ├── Namespace/cert-manager
│   └── HelmRepository/cert-manager/cert-manager
└── GitRepository/flux-system/flux-system
"
        );
        let value = tree.to_value();
        assert_eq!(value["resources"][0]["resource"]["Name"], "flux-system");
        assert_eq!(value["resources"][0]["resource"]["GroupKind"], json!({"Group": "", "Kind": "Namespace"}));
        assert!(value["resources"][0].get("resources").is_none());
    }
}
