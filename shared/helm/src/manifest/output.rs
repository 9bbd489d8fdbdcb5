//! The text that `helm template` prints.

use super::{HookEvent, Manifests};
use crate::RenderedFile;
use crate::pattern::Pattern;

/// What of a render is printed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Selection {
    /// The files of `crds/`, first and unchanged.
    pub include_crds: bool,
    /// No hooks.
    pub no_hooks: bool,
    /// No hooks that run at tests.
    pub skip_tests: bool,
}

/// Appends a document under the name of its template.
pub fn document(out: &mut String, name: &str, content: &str) {
    out.push_str("---\n# Source: ");
    out.push_str(name);
    out.push('\n');
    out.push_str(content);
    out.push('\n');
}

/// All that `helm template` prints: CRDs and objects without blanks around, then the hooks.
#[must_use]
pub fn template_output(manifests: &Manifests, crds: &[RenderedFile], selection: Selection) -> String {
    // Room for everything at once: a large output is not copied while it grows.
    let room = |name: &str, content: &str| name.len() + content.len() + "---\n# Source: \n\n".len();
    let crds = if selection.include_crds { crds } else { &[] };
    let size = crds.iter().map(|crd| room(&crd.name, &crd.text)).sum::<usize>()
        + manifests.objects.iter().map(|object| room(&object.name, &object.content)).sum::<usize>()
        + shown_hooks(manifests, selection).map(|hook| room(&hook.path, &hook.manifest)).sum::<usize>();
    let mut out = String::with_capacity(size + 1);
    for crd in crds {
        document(&mut out, &crd.name, &crd.text);
    }
    for object in &manifests.objects {
        document(&mut out, &object.name, &object.content);
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    for hook in shown_hooks(manifests, selection) {
        document(&mut out, &hook.path, &hook.manifest);
    }
    out
}

/// The hooks that a selection leaves.
pub fn shown_hooks(manifests: &Manifests, selection: Selection) -> impl Iterator<Item = &super::Hook> {
    manifests
        .hooks
        .iter()
        .filter(move |hook| !(selection.no_hooks || selection.skip_tests && hook.runs_at(HookEvent::Test)))
}

/// The documents of an output whose template matches one of the patterns, in the order of the patterns.
///
/// A pattern is a path below the chart, `templates/*.yaml`; stars do not cross `/`.
///
/// # Errors
/// A pattern that matches nothing.
pub fn select(output: &str, patterns: &[String]) -> Result<String, String> {
    let documents: Vec<_> = super::split(output)
        .into_iter()
        .filter_map(|document| source(document).map(|source| (source, document)))
        .collect();
    let mut out = String::new();
    for pattern in patterns {
        let mut found = false;
        let glob = Pattern::parse(pattern).ok();
        // A pattern that cannot be read matches nothing.
        let matches = |source: &str| glob.as_ref().is_some_and(|glob| glob.matches(source));
        for (_, document) in documents.iter().filter(|(source, _)| matches(source)) {
            found = true;
            out.push_str("---\n");
            out.push_str(document);
            out.push('\n');
        }
        if !found {
            return Err(format!("could not find template {pattern} in chart"));
        }
    }
    Ok(out)
}

/// Whether a pattern chooses a template, `chart/templates/x.yaml`.
#[must_use]
pub fn selects(pattern: &str, name: &str) -> bool {
    let path = name.split_once('/').map_or("", |(_, path)| path);
    Pattern::parse(pattern).is_ok_and(|pattern| pattern.matches(path))
}

/// The path below the chart that a document comes from.
fn source(document: &str) -> Option<&str> {
    const MARK: &str = "# Source: ";
    let mut rest = document;
    while let Some(at) = rest.find(MARK) {
        rest = rest.get(at + MARK.len()..)?;
        let line = rest.lines().next().unwrap_or_default();
        if let Some((chart, path)) = line.split_once('/')
            && !chart.is_empty()
            && !path.is_empty()
        {
            return Some(path);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_chosen_in_the_order_of_the_patterns() {
        let output =
            "---\n# Source: c/templates/a.yaml\na: 1\n---\n# Source: c/templates/b.yaml\nb: 1\n\n---\nx: 1\n";
        let patterns = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            select(output, &patterns(&["templates/b.yaml", "templates/*.yaml"])).expect("found"),
            "---\n# Source: c/templates/b.yaml\nb: 1\n\n\n---\n# Source: c/templates/a.yaml\na: 1\n\n---\n# Source: c/templates/b.yaml\nb: 1\n\n\n"
        );
        assert_eq!(
            select(output, &patterns(&["templates/c.yaml"])).expect_err("none"),
            "could not find template templates/c.yaml in chart"
        );
    }
}
