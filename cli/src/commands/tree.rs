//! `tree kustomization`: what a Kustomization put on the cluster, and what the Kustomizations among that did.

use anyhow::{Result, anyhow, bail};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use sluice_apply::{ObjectId, inventory};

use crate::arguments::TreeTarget;
use crate::kinds;
use crate::session::Session;
use crate::talk;

/// How deep Kustomizations may apply Kustomizations: more is a cycle.
const MAX_DEPTH: usize = 64;

/// Prints the tree.
///
/// # Errors
/// Where a Kustomization of the tree is missing, or its inventory cannot be read.
pub(crate) async fn run(session: &Session, target: TreeTarget) -> Result<()> {
    let TreeTarget::Kustomization(options) = target;
    let Some(name) = &options.name else { bail!("kustomization name is required") };
    let root = ObjectId {
        group: kinds::KUSTOMIZATION.resource().group,
        kind: kinds::KUSTOMIZATION.kind.to_owned(),
        namespace: session.namespace.clone(),
        name: name.clone(),
    };
    let object = session.get(&kinds::KUSTOMIZATION, &session.namespace, name).await?;
    let mut path = vec![root.clone()];
    let resources = children(session, &object, options.compact, &mut path).await?;
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

/// The objects of a Kustomization's inventory in stored order, itself left out; `path` holds those above.
fn children<'a>(
    session: &'a Session,
    object: &'a Value,
    compact: bool,
    path: &'a mut Vec<ObjectId>,
) -> BoxFuture<'a, Result<Vec<Node>>> {
    Box::pin(async move {
        let mut nodes = Vec::new();
        let entries = object.pointer("/status/inventory/entries").and_then(Value::as_array);
        for entry in entries.into_iter().flatten() {
            let id = inventory::parse(entry["id"].as_str().unwrap_or_default())?;
            if path.contains(&id) || (compact && !id.group.contains("toolkit.fluxcd.io")) {
                continue;
            }
            let mut resources = Vec::new();
            if id.group == path[0].group && id.kind == path[0].kind && path.len() < MAX_DEPTH {
                let nested = session
                    .get(&kinds::KUSTOMIZATION, &id.namespace, &id.name)
                    .await
                    .map_err(|error| anyhow!("failed to find object: {error}"))?;
                // What it applied to another cluster cannot be followed from here.
                if nested.pointer("/spec/kubeConfig").is_none() {
                    path.push(id.clone());
                    resources = children(session, &nested, compact, path).await?;
                    path.pop();
                }
            }
            nodes.push(Node { id, resources });
        }
        Ok(nodes)
    })
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
