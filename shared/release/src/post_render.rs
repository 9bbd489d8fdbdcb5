//! What is done to rendered documents before they are used: steps of kustomize, then labels and annotations.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sluice_apply::object::object_entry;
use sluice_helm::manifest::{PostRenderError, PostRenderer, post_render};
use sluice_helm::{RenderedFile, release};
use sluice_kustomize::{Kustomization, Options, build_with, read_objects, to_yaml};

use crate::options::{Kustomize, PostRender};

/// Post-renders files; `origin` are the labels that say whose the objects are.
///
/// # Errors
/// Helm's text.
pub(crate) fn run(
    files: &[RenderedFile],
    options: &PostRender,
    origin: &BTreeMap<String, String>,
) -> Result<Vec<RenderedFile>, PostRenderError> {
    post_render(files, &Steps { options, origin }, options.strategy)
}

struct Steps<'a> {
    options: &'a PostRender,
    origin: &'a BTreeMap<String, String>,
}

impl PostRenderer for Steps<'_> {
    fn run(&self, documents: &str) -> Result<String, String> {
        let mut text = std::borrow::Cow::Borrowed(documents);
        for step in &self.options.steps {
            text = kustomize(&text, step)?.into();
        }
        let mut objects = read_objects(text.as_bytes()).map_err(|error| error.to_string())?;
        unique(&objects)?;
        for object in &mut objects {
            add(object, "labels", &self.options.labels);
            add(object, "annotations", &self.options.annotations);
            add(object, "labels", self.origin);
        }
        Ok(to_yaml(&objects))
    }
}

/// One step: the documents are the only resource of a kustomization.
fn kustomize(documents: &str, step: &Kustomize) -> Result<String, String> {
    const FILE: &str = "helm-output.yaml";
    let failed =
        |error: std::io::Error| format!("cannot write the rendered documents to a temporary folder: {error}");
    let folder = tempfile::tempdir().map_err(failed)?;
    std::fs::write(folder.path().join(FILE), documents).map_err(failed)?;
    let mut kustomization = Kustomization::default();
    kustomization.resources.push(FILE.to_owned());
    kustomization.patches.clone_from(&step.patches);
    kustomization.images.clone_from(&step.images);
    let options = Options { shown_root: Some(String::new()), ..Options::flux() };
    let objects = build_with(folder.path(), folder.path(), &kustomization, &options);
    Ok(to_yaml(&objects.map_err(|error| error.to_string())?))
}

/// Refuses two objects of one identity, in kustomize's words.
fn unique(objects: &[Value]) -> Result<(), String> {
    let mut seen = std::collections::HashSet::new();
    for object in objects {
        let (id, version) = sluice_apply::ObjectId::of(object);
        let text = format!(
            "{}.{version}.{}/{}.{}",
            id.kind,
            if id.group.is_empty() { "[noGrp]" } else { &id.group },
            id.name,
            if id.namespace.is_empty() { "[noNs]" } else { &id.namespace }
        );
        if !seen.insert(id) {
            return Err(format!("may not add resource with an already registered id: {text}"));
        }
    }
    Ok(())
}

/// Sets labels or annotations of an object.
pub(crate) fn add(object: &mut Value, field: &str, pairs: &BTreeMap<String, String>) {
    let Some(object) = object.as_object_mut().filter(|_| !pairs.is_empty()) else { return };
    let map: &mut Map<String, Value> = object_entry(object_entry(object, "metadata"), field);
    map.extend(pairs.iter().map(|(key, value)| (key.clone(), Value::String(value.clone()))));
}

/// The documents of a release that were made of files: objects as one text, and hooks.
pub(crate) fn manifests(
    files: &[RenderedFile],
) -> Result<(String, Vec<release::StoredHook>, Vec<sluice_helm::LogLine>), String> {
    let sorted = sluice_helm::manifest::Manifests::new(files, sluice_helm::manifest::KindOrder::Install)
        .map_err(|error| error.to_string())?;
    let text = sorted.text();
    Ok((text, sorted.hooks.into_iter().map(Into::into).collect(), sorted.log))
}

#[cfg(test)]
mod tests {
    use sluice_kustomize::file::{Image, Patch};

    use super::*;

    fn rendered(text: &str) -> [RenderedFile; 1] {
        [RenderedFile { name: "c/templates/a.yaml".into(), text: text.into() }]
    }

    fn map(key: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(key.to_owned(), value.to_owned())])
    }

    const POD: &str = "# a comment\nkind: Pod\napiVersion: v1\nmetadata: {name: a, labels: {x: chart, y: chart}}\nspec: {containers: [{name: c, image: app:1}]}\n";

    #[test]
    fn steps_come_first_and_origin_labels_win() {
        let options = PostRender {
            steps: vec![
                Kustomize {
                    patches: vec![Patch {
                        patch: "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {nodeName: n}\n".into(),
                        ..Patch::default()
                    }],
                    ..Kustomize::default()
                },
                Kustomize {
                    images: vec![Image { name: "app".into(), new_tag: "2".into(), ..Image::default() }],
                    ..Kustomize::default()
                },
            ],
            labels: map("x", "common"),
            annotations: map("note", "1"),
            ..PostRender::default()
        };
        let out = run(&rendered(POD), &options, &map("y", "origin")).expect("renders");
        assert_eq!(
            out[0].text,
            "apiVersion: v1\nkind: Pod\nmetadata:\n  annotations:\n    note: \"1\"\n  labels:\n    x: common\n    \"y\": origin\n  name: a\nspec:\n  containers:\n  - image: app:2\n    name: c\n  nodeName: \"n\"\n"
        );
        assert_eq!(out[0].name, "c/templates/a.yaml");
    }

    #[test]
    fn what_kustomize_refuses_is_refused_with_or_without_steps() {
        let twice = format!("{POD}---\n{POD}");
        for steps in [vec![], vec![Kustomize::default()]] {
            let options = PostRender { steps, ..PostRender::default() };
            let error = run(&rendered(&twice), &options, &map("y", "z")).expect_err("twice").to_string();
            assert!(
                error.starts_with("error while running post render on files: ")
                    && error.contains(
                        "may not add resource with an already registered id: Pod.v1.[noGrp]/a.[noNs]"
                    ),
                "{error}"
            );
            let error =
                run(&rendered("kind: A\nmetadata: {}\n"), &options, &map("y", "z")).expect_err("no name");
            assert!(error.to_string().contains("missing metadata.name"), "{error}");
        }
    }
}
