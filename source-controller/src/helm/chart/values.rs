//! Values files that take the place of a chart's defaults.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Component, Path, PathBuf};

use serde_json::{Map, Value};
use sluice_artifact::secure_join;
use sluice_helm::Chart;
use sluice_helm::chart::VALUES;
use sluice_helm::values::{merge, read_documents};

/// The merged values and the files that they come from.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Merged {
    pub(super) values: Map<String, Value>,
    pub(super) files: Vec<String>,
}

/// Where values files are looked for, and what to do about those that are missing.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) files: Vec<String>,
    pub(super) ignore_missing: bool,
    /// Largest file, in bytes.
    pub(super) max: u64,
}

/// The values files that change a chart: a list of nothing but `values.yaml` does not.
pub(super) fn wanted(files: &[String]) -> &[String] {
    match files {
        [one] if clean(one) == VALUES => &[],
        files => files,
    }
}

/// A path without `.` components.
fn clean(path: &str) -> String {
    let parts = Path::new(path).components().filter(|part| !matches!(part, Component::CurDir));
    parts.collect::<PathBuf>().to_string_lossy().into_owned()
}

impl Wanted {
    /// Merges files below `root`; none of them is looked for outside of it.
    ///
    /// # Errors
    /// Which file is missing, or what is wrong with it.
    pub(super) fn of_folder(&self, root: &Path) -> Result<Merged, String> {
        let mut merged = Merged::default();
        for name in &self.files {
            let path = secure_join(root, name).map_err(|error| format!("'{name}': {error}"))?;
            match path.metadata() {
                Ok(info) if info.is_file() => {}
                Err(error) if self.ignore_missing && is_missing(&error) => continue,
                _ => {
                    let shown = path.strip_prefix(root).unwrap_or(&path).display();
                    return Err(format!("no values file found at path '/{shown}' (reference '{name}')"));
                }
            }
            let read = || -> std::io::Result<Vec<u8>> {
                let mut data = Vec::new();
                File::open(&path)?.take(self.max.saturating_add(1)).read_to_end(&mut data)?;
                Ok(data)
            };
            let data =
                read().map_err(|error| format!("could not read values from file '{name}': {error}"))?;
            self.lay_over(&mut merged, name, &data)?;
        }
        Ok(merged)
    }

    /// Merges files of a chart, whose `values.yaml` are its own defaults.
    ///
    /// # Errors
    /// Which file is missing, or what is wrong with it.
    pub(super) fn of_chart(&self, chart: &Chart) -> Result<Merged, String> {
        let mut merged = Merged::default();
        for name in &self.files {
            let name = clean(name);
            if name == VALUES {
                merge(&mut merged.values, chart.values.clone());
                merged.files.push(name);
                continue;
            }
            match chart.files.iter().find(|file| file.name == name) {
                Some(file) => self.lay_over(&mut merged, &name, &file.data)?,
                None if self.ignore_missing => {}
                None => return Err(format!("no values file found at path '{name}'")),
            }
        }
        Ok(merged)
    }

    fn lay_over(&self, merged: &mut Merged, name: &str, data: &[u8]) -> Result<(), String> {
        if data.len() as u64 > self.max {
            return Err(format!("values file '{name}' is larger than {} bytes", self.max));
        }
        let over = read_documents(data)
            .map_err(|error| format!("unmarshaling values from '{name}' failed: {error}"))?;
        merge(&mut merged.values, over);
        merged.files.push(name.to_owned());
        Ok(())
    }
}

fn is_missing(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(files: &[&str], ignore_missing: bool) -> Wanted {
        Wanted { files: files.iter().map(|name| (*name).to_owned()).collect(), ignore_missing, max: 64 }
    }

    #[test]
    fn the_chart_s_own_file_alone_changes_nothing() {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        for (names, want) in [
            (&["values.yaml"][..], 0),
            (&["./values.yaml"], 0),
            (&["values.yaml", "b.yaml"], 2),
            (&["b.yaml"], 1),
            (&[], 0),
        ] {
            assert_eq!(wanted(&list(names)).len(), want, "{names:?}");
        }
    }

    #[test]
    fn files_of_a_folder_are_merged_in_order_and_never_leave_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(dir.path().join("secret.yaml"), "stolen: true\n").unwrap();
        std::fs::write(root.join("a.yaml"), "a: {x: 1, z: [1, 2]}\nkeep: 1\n").unwrap();
        std::fs::write(root.join("b.yaml"), "a: {x: null, z: [3]}\n").unwrap();
        std::fs::write(root.join("large.yaml"), "#".repeat(65)).unwrap();
        std::fs::write(root.join("list.yaml"), "- a\n").unwrap();
        let merged = of(&["a.yaml", "b.yaml"], false).of_folder(&root).unwrap();
        assert_eq!(json!(merged.values), json!({"a": {"x": null, "z": [3.0]}, "keep": 1.0}));
        assert_eq!(merged.files, ["a.yaml", "b.yaml"]);
        let merged = of(&["missing.yaml", "a.yaml", "missing/too.yaml"], true).of_folder(&root).unwrap();
        assert_eq!(merged.files, ["a.yaml"]);
        for (name, want) in [
            ("missing.yaml", "no values file found at path '/missing.yaml' (reference 'missing.yaml')"),
            ("../secret.yaml", "no values file found at path '/secret.yaml' (reference '../secret.yaml')"),
            ("list.yaml", "unmarshaling values from 'list.yaml' failed: "),
            ("large.yaml", "values file 'large.yaml' is larger than 64 bytes"),
        ] {
            let error = of(&[name], false).of_folder(&root).unwrap_err();
            assert!(error.starts_with(want), "{error}");
        }
    }
}
