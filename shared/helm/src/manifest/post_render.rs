//! Hands rendered documents to another program, and takes what it makes of them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sluice_yaml::Reader;

use super::{KindOrder, ManifestError, Manifests, split};
use crate::RenderedFile;

/// Remembers the template of a document while it is away.
const FILE: &str = "postrenderer.helm.sh/postrender-filename";

/// Something that changes rendered documents.
pub trait PostRenderer {
    /// Takes a stream of documents and returns another.
    ///
    /// # Errors
    /// The text is shown behind `error while running post render on files: `.
    fn run(&self, documents: &str) -> Result<String, String>;
}

/// What is handed over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Objects and hooks in one stream: what Helm 4 does by default.
    #[default]
    Combined,
    /// Objects and hooks one after the other, for charts in which both hold the same object.
    Separate,
    /// Only objects, as Helm 3 did.
    NoHooks,
}

/// Why post-rendering failed.
#[derive(Debug, thiserror::Error)]
pub enum PostRenderError {
    /// A rendered document is no map, or no YAML.
    #[error("error merging {group}: parsing {file}: {message}")]
    Merge {
        /// `manifests` or `hooks`.
        group: &'static str,
        /// The template.
        file: String,
        /// What is wrong.
        message: String,
    },
    /// The other program failed.
    #[error("error while running post render on {group}: {message}")]
    Run {
        /// `files`, `manifests` or `hooks`.
        group: &'static str,
        /// What it said.
        message: String,
    },
    /// What came back is no YAML.
    #[error("error while parsing post rendered output: error parsing YAML: MalformedYAMLError: {0}")]
    Output(String),
    /// The documents cannot be told apart into objects and hooks.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// Post-renders files.
///
/// The documents are written anew: comments are gone, keys are sorted, and the items of a `List` stand on their own.
///
/// # Errors
/// If a document cannot be handed over, or if what comes back cannot be used.
pub fn post_render(
    files: &[RenderedFile],
    renderer: &dyn PostRenderer,
    strategy: Strategy,
) -> Result<Vec<RenderedFile>, PostRenderError> {
    if strategy == Strategy::Combined {
        let names = Names { merge: "manifests", run: "files", fallback: "" };
        return pass(files, renderer, &names);
    }
    let manifests = Manifests::new(files, KindOrder::Install)?;
    let objects = manifests.objects.iter().map(|object| (object.name.as_str(), object.content.as_str()));
    let hooks = manifests.hooks.iter().map(|hook| (hook.path.as_str(), hook.manifest.as_str()));
    let (objects, hooks) = (grouped(objects), grouped(hooks));
    let mut out = match strategy {
        _ if hooks.is_empty() => Vec::new(),
        Strategy::Separate => {
            pass(&hooks, renderer, &Names { merge: "hooks", run: "hooks", fallback: "hooks-" })?
        }
        _ => hooks,
    };
    if !objects.is_empty() {
        let names = Names { merge: "manifests", run: "manifests", fallback: "manifests-" };
        out.extend(pass(&objects, renderer, &names)?);
    }
    Ok(grouped(out.iter().map(|file| (file.name.as_str(), file.text.as_str()))))
}

/// How a stream is called in messages and in the names of documents that are new.
struct Names {
    merge: &'static str,
    run: &'static str,
    fallback: &'static str,
}

fn grouped<'a>(documents: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<RenderedFile> {
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    for (name, text) in documents {
        let file = files.entry(name).or_default();
        if !file.is_empty() {
            file.push_str("\n---\n");
        }
        file.push_str(text);
    }
    files.into_iter().map(|(name, text)| RenderedFile { name: name.to_owned(), text }).collect()
}

fn pass(
    files: &[RenderedFile],
    renderer: &dyn PostRenderer,
    names: &Names,
) -> Result<Vec<RenderedFile>, PostRenderError> {
    let run = |message| PostRenderError::Run { group: names.run, message };
    let rendered = renderer.run(&merge(files, names.merge)?).map_err(run)?;
    let mut out: BTreeMap<String, String> = BTreeMap::new();
    let mut index = 0;
    for part in yaml_documents(&rendered) {
        for mut document in objects(part).map_err(PostRenderError::Output)? {
            let name = take_file(&mut document)
                .unwrap_or_else(|| format!("generated-by-postrender-{}{index}.yaml", names.fallback));
            index += 1;
            append(out.entry(name).or_default(), document);
        }
    }
    Ok(out.into_iter().map(|(name, text)| RenderedFile { name, text }).collect())
}

/// All documents as one stream, each with the name of its template in an annotation.
fn merge(files: &[RenderedFile], group: &'static str) -> Result<String, PostRenderError> {
    let mut files: Vec<_> = files.iter().collect();
    files.sort_by(|left, right| left.name.as_bytes().cmp(right.name.as_bytes()));
    let mut out = String::new();
    for file in files {
        if file.name.rsplit('/').next().is_some_and(|base| base.starts_with('_')) {
            continue;
        }
        let fail = |message| PostRenderError::Merge { group, file: file.name.clone(), message };
        for part in split(&file.text) {
            for mut document in objects(part).map_err(fail)? {
                annotate(&mut document, &file.name).map_err(fail)?;
                append(&mut out, document);
            }
        }
    }
    Ok(out)
}

fn append(out: &mut String, document: Map<String, Value>) {
    if !out.is_empty() {
        out.push_str("---\n");
    }
    out.push_str(&sluice_yaml::to_string(&Value::Object(document)));
}

/// The parts of a stream between separators that YAML knows.
fn yaml_documents(text: &str) -> Vec<&str> {
    let separates = |line: &str| {
        line.strip_prefix("---").is_some_and(|rest| rest.trim().is_empty() || rest.trim().starts_with('#'))
    };
    let mut parts = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        if separates(line) {
            parts.push(text.get(start..at).unwrap_or_default());
            start = at + line.len();
        }
        at += line.len();
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts
}

/// The objects of a document: none if it is empty, the items of a list.
fn objects(text: &str) -> Result<Vec<Map<String, Value>>, String> {
    let Some(node) = Reader::manifest().last_wins().first(text).map_err(|error| error.to_string())? else {
        return Ok(Vec::new());
    };
    let mut map = match node.into_value()? {
        Value::Null => return Ok(Vec::new()),
        Value::Object(map) => map,
        Value::Array(_) => return Err("wrong node kind: expected MappingNode but got SequenceNode".into()),
        _ => return Err("wrong node kind: expected MappingNode but got ScalarNode".into()),
    };
    if map.get("kind").and_then(Value::as_str) == Some("List")
        && let Some(Value::Array(items)) = map.get_mut("items").map(Value::take)
    {
        return items
            .into_iter()
            .map(|item| match item {
                Value::Object(item) => Ok(item),
                _ => Err("an item of a List is no map".into()),
            })
            .collect();
    }
    Ok(if map.is_empty() { Vec::new() } else { vec![map] })
}

fn annotate(document: &mut Map<String, Value>, file: &str) -> Result<(), String> {
    let mut at = document;
    for key in ["metadata", "annotations"] {
        let slot = at.entry(key).or_insert(Value::Null);
        if slot.is_null() {
            *slot = Value::Object(Map::new());
        }
        at = slot.as_object_mut().ok_or_else(|| format!("{key} is no map"))?;
    }
    at.insert(FILE.into(), Value::String(file.into()));
    Ok(())
}

/// The name of the template, whose annotation is removed.
fn take_file(document: &mut Map<String, Value>) -> Option<String> {
    let metadata = document.get_mut("metadata")?.as_object_mut()?;
    let annotations = metadata.get_mut("annotations")?.as_object_mut()?;
    let name = annotations.remove(FILE)?.as_str().map(str::to_owned);
    if annotations.is_empty() {
        metadata.remove("annotations");
    }
    if metadata.is_empty() {
        document.remove("metadata");
    }
    name.filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Renderer(fn(&str) -> Result<String, String>);

    impl PostRenderer for Renderer {
        fn run(&self, documents: &str) -> Result<String, String> {
            self.0(documents)
        }
    }

    fn file(name: &str, text: &str) -> RenderedFile {
        RenderedFile { name: name.into(), text: text.into() }
    }

    fn run(
        files: &[RenderedFile],
        renderer: fn(&str) -> Result<String, String>,
        strategy: Strategy,
    ) -> Result<Vec<(String, String)>, String> {
        post_render(files, &Renderer(renderer), strategy)
            .map(|files| files.into_iter().map(|file| (file.name, file.text)).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn documents_come_back_to_their_files() {
        let files = [
            file(
                "c/templates/b.yaml",
                "# gone\nkind: B\nmetadata: {name: b}\n---\n# nothing\n---\nkind: C\n",
            ),
            file("c/templates/_h.tpl", "x: 1\n"),
            file("c/templates/a.yaml", "kind: List\nitems:\n- {kind: A, metadata: {annotations: {k: v}}}\n"),
        ];
        let out = run(&files, |text| Ok(text.replace("name: b", "name: changed")), Strategy::Combined);
        let want = [
            ("c/templates/a.yaml", "kind: A\nmetadata:\n  annotations:\n    k: v\n"),
            ("c/templates/b.yaml", "kind: B\nmetadata:\n  name: changed\n---\nkind: C\n"),
        ];
        assert_eq!(out, Ok(want.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec()));
    }

    #[test]
    fn the_renderer_sees_files_in_order_and_where_they_come_from() {
        let files = [file("c/templates/b.yaml", "b: 1\n"), file("c/charts/s/templates/a.yaml", "a: 1\n")];
        let seen = run(&files, |text| Err(text.to_owned()), Strategy::Combined).expect_err("fails");
        assert_eq!(
            seen,
            "error while running post render on files: a: 1\nmetadata:\n  annotations:\n    postrenderer.helm.sh/postrender-filename: c/charts/s/templates/a.yaml\n---\nb: 1\nmetadata:\n  annotations:\n    postrenderer.helm.sh/postrender-filename: c/templates/b.yaml\n"
        );
    }

    #[test]
    fn new_documents_get_names_of_their_own() {
        let files = [file("c/templates/a.yaml", "kind: A\n")];
        let out =
            run(&files, |text| Ok(format!("kind: New\n---\n{text}---\nkind: Last\n")), Strategy::Combined);
        let names: Vec<_> = out.expect("renders").into_iter().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            ["c/templates/a.yaml", "generated-by-postrender-0.yaml", "generated-by-postrender-2.yaml"]
        );
    }

    #[test]
    fn strategies_say_what_hooks_become() {
        let hook = "kind: H\nmetadata: {annotations: {helm.sh/hook: test}}\n";
        let files = [file("c/templates/a.yaml", "kind: A\n"), file("c/templates/h.yaml", hook)];
        let mark: fn(&str) -> Result<String, String> = |text| Ok(text.replace("kind: ", "kind: New"));
        for (strategy, want) in [
            (Strategy::Separate, "kind: NewH\n"),
            (Strategy::NoHooks, "kind: H\n"),
            (Strategy::Combined, "kind: NewH\n"),
        ] {
            let out = run(&files, mark, strategy).expect("renders");
            assert!(out[1].1.starts_with(want), "{strategy:?} {out:?}");
            assert_eq!(out[0].1, "kind: NewA\n", "{strategy:?}");
        }
    }

    #[test]
    fn what_is_no_map_is_refused() {
        let refused = run(&[file("c/templates/a.yaml", "- 1\n")], |_| Ok(String::new()), Strategy::Combined);
        assert_eq!(
            refused.expect_err("refused"),
            "error merging manifests: parsing c/templates/a.yaml: wrong node kind: expected MappingNode but got SequenceNode"
        );
        let broken = run(&[file("c/templates/a.yaml", "a: 1\n")], |_| Ok("a: [".into()), Strategy::Combined);
        assert!(broken.expect_err("broken").starts_with("error while parsing post rendered output: "));
    }
}
