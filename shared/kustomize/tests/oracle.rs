//! Every case below `cases/` builds to what the real kustomize prints, or fails with its text.
//!
//! `tests/regenerate` stores the expected output; it explains the layout.

use std::fs;
use std::path::{Path, PathBuf};

use sluice_kustomize::{Options, build, to_yaml};

/// What the build prints, or its error with the root shown as `<root>`.
fn run(input: &Path) -> Result<String, String> {
    let root = input.canonicalize().expect("the case has an input");
    let has_file = sluice_kustomize::file::FILE_NAMES.iter().any(|name| root.join(name).is_file());
    let dir = if has_file { root.clone() } else { root.join("top") };
    let options = Options { managed_by: "kustomize-v5.8.2".into(), ..Options::command_line() };
    match build(Path::new("/"), &dir, &options) {
        Ok(objects) => Ok(to_yaml(&objects)),
        Err(error) => Err(error.to_string().replace(&root.display().to_string(), "<root>")),
    }
}

fn wanted(case: &Path) -> Result<String, String> {
    let read = |name: &str| fs::read_to_string(case.join(name)).ok();
    let error = |text: String| text.trim_end().to_owned();
    if let Some(text) = read("ours.yaml") {
        return Ok(text);
    }
    if let Some(text) = read("ours.err") {
        return Err(error(text));
    }
    match (read("expected.yaml"), read("expected.err")) {
        (Some(text), None) => Ok(text),
        (None, Some(text)) => Err(error(text)),
        _ => panic!("{} has no expectation: run tests/regenerate", case.display()),
    }
}

#[test]
fn cases_build_to_what_kustomize_prints() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut dirs: Vec<PathBuf> =
        fs::read_dir(cases).expect("cases").map(|entry| entry.expect("an entry").path()).collect();
    dirs.sort();
    assert!(dirs.len() > 80, "only {} cases", dirs.len());
    let only = std::env::var("SLUICE_CASE").ok();
    let mut different = Vec::new();
    for case in &dirs {
        let name = case.file_name().expect("a name").to_string_lossy().into_owned();
        if only.as_ref().is_some_and(|only| *only != name) {
            continue;
        }
        let (got, want) = (run(&case.join("in")).map_err(|text| text.trim_end().to_owned()), wanted(case));
        if got != want {
            different.push(format!("=== {name}\n{}", difference(&got, &want)));
        }
    }
    assert!(different.is_empty(), "{} of {} differ\n{}", different.len(), dirs.len(), different.join("\n"));
}

fn difference(got: &Result<String, String>, want: &Result<String, String>) -> String {
    match (got, want) {
        (Ok(got), Ok(want)) => {
            let (got, want): (Vec<_>, Vec<_>) = (got.lines().collect(), want.lines().collect());
            let at = got.iter().zip(&want).take_while(|(a, b)| a == b).count();
            let from = at.saturating_sub(3);
            let part =
                |lines: &[&str]| lines.iter().skip(from).take(10).copied().collect::<Vec<_>>().join("\n");
            format!("line {}\n--- got\n{}\n--- want\n{}", at + 1, part(&got), part(&want))
        }
        (got, want) => {
            let shown = |result: &Result<String, String>| match result {
                Ok(text) => format!("output {}", text.lines().take(3).collect::<Vec<_>>().join(" / ")),
                Err(text) => format!("error  {text}"),
            };
            format!("got  {}\nwant {}", shown(got), shown(want))
        }
    }
}

#[test]
fn deprecated_fields_are_reported_once_per_file() {
    let input = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/patches-deprecated/in");
    let root = input.canonicalize().expect("the case");
    let built = sluice_kustomize::build_reporting(Path::new("/"), &root, None, &Options::command_line());
    let warnings = built.expect("it builds").warnings;
    let text = |old: &str| {
        format!(
            "# Warning: '{old}' is deprecated. Please use 'patches' instead. Run 'kustomize edit fix' to update your Kustomization automatically."
        )
    };
    assert_eq!(warnings, [text("patchesJson6902"), text("patchesStrategicMerge")]);
}
