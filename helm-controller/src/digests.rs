//! Digests of what is done to rendered objects: a change of it is an upgrade, though the values stayed the same.

use serde::Serialize;
use sha2::{Digest, Sha256};
use sluice_api::helm::{CommonMetadata, PostRenderer};
use std::collections::BTreeMap;

/// The digest of post-renderers; empty if there are none.
pub(crate) fn post_renderers(renderers: &[PostRenderer]) -> String {
    if renderers.is_empty() {
        return String::new();
    }
    let list: Vec<Outer<'_>> = renderers.iter().map(Outer::of).collect();
    digest(&list)
}

/// The digest of common metadata; empty if there is none.
pub(crate) fn common_metadata(common: Option<&CommonMetadata>) -> String {
    let Some(common) = common else { return String::new() };
    digest(&Common { annotations: &common.annotations, labels: &common.labels })
}

// Fields in the order of Flux's types: the digest depends on it.

#[derive(Serialize)]
struct Common<'a> {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Outer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    kustomize: Option<Inner<'a>>,
}

#[derive(Serialize)]
struct Inner<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    patches: Vec<Patch<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<Image<'a>>,
}

#[derive(Serialize)]
struct Patch<'a> {
    patch: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Target<'a>>,
}

type Text<'a> = Option<&'a str>;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Target<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotation_selector: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label_selector: Text<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Image<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_name: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_tag: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Text<'a>,
}

fn text(text: &Option<String>) -> Text<'_> {
    text.as_deref().filter(|text| !text.is_empty())
}

impl<'a> Outer<'a> {
    fn of(renderer: &'a PostRenderer) -> Self {
        let kustomize = renderer.kustomize.as_ref().map(|kustomize| Inner {
            patches: kustomize
                .patches
                .iter()
                .map(|patch| Patch {
                    patch: &patch.patch,
                    target: patch.target.as_ref().map(|target| Target {
                        group: text(&target.group),
                        version: text(&target.version),
                        kind: text(&target.kind),
                        namespace: text(&target.namespace),
                        name: text(&target.name),
                        annotation_selector: text(&target.annotation_selector),
                        label_selector: text(&target.label_selector),
                    }),
                })
                .collect(),
            images: kustomize
                .images
                .iter()
                .map(|image| Image {
                    name: &image.name,
                    new_name: text(&image.new_name),
                    new_tag: text(&image.new_tag),
                    digest: text(&image.digest),
                })
                .collect(),
        });
        Self { kustomize }
    }
}

/// `sha256:…` of a value as Go's encoder writes it.
fn digest(value: &impl Serialize) -> String {
    // Texts always can be written.
    let text = sluice_yaml::json::encode(value).unwrap_or_default();
    format!("sha256:{}", hex::encode(Sha256::digest(text + "\n")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sha(text: &str) -> String {
        format!("sha256:{}", hex::encode(Sha256::digest(text)))
    }

    #[test]
    fn digests_are_of_the_text_that_flux_writes() {
        let renderers: Vec<PostRenderer> = serde_json::from_value(json!([
            {"kustomize": {"images": [{"name": "a", "newTag": "v2", "digest": "sha256:1"}],
                "patches": [{"target": {"kind": "Deployment", "name": "a", "labelSelector": "x"}, "patch": "a: <b> & c\n"}]}},
            {"kustomize": {}}, {},
        ]))
        .expect("post-renderers");
        let want = r#"[{"kustomize":{"patches":[{"patch":"a: \u003cb\u003e \u0026 c\n","target":{"kind":"Deployment","name":"a","labelSelector":"x"}}],"images":[{"name":"a","newTag":"v2","digest":"sha256:1"}]}},{"kustomize":{}},{}]"#;
        assert_eq!(post_renderers(&renderers), sha(&format!("{want}\n")));
        assert_eq!(post_renderers(&[]), "");
        let common: CommonMetadata =
            serde_json::from_value(json!({"labels": {"b": "2", "a": "1"}})).expect("common metadata");
        assert_eq!(common_metadata(Some(&common)), sha("{\"labels\":{\"a\":\"1\",\"b\":\"2\"}}\n"));
        assert_eq!(common_metadata(None), "");
    }
}
