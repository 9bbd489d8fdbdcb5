//! Whole repositories, where they are beside this one: every kustomization builds, and as the real kustomize builds it
//! where that is installed (`SLUICE_KUSTOMIZE`, or `kustomize` on PATH).

use std::path::{Path, PathBuf};
use std::process::Command;

use sluice_kustomize::{ErrorKind, Options, build, to_yaml};

/// All directories below `dir` that have a kustomization file.
fn kustomizations(dir: &Path, out: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(dir).expect("a readable directory");
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.is_symlink() {
            kustomizations(&path, out);
        } else if path
            .file_name()
            .is_some_and(|name| sluice_kustomize::file::FILE_NAMES.iter().any(|wanted| name == *wanted))
        {
            out.push(dir.to_owned());
        }
    }
}

/// What the real kustomize prints; nothing if it is not installed.
fn real(dir: &Path) -> Option<String> {
    let program = std::env::var_os("SLUICE_KUSTOMIZE").unwrap_or_else(|| "kustomize".into());
    let output = Command::new(program).arg("build").arg(dir).output().ok()?;
    assert!(output.status.success(), "{}: {}", dir.display(), String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("kustomize prints UTF-8"))
}

#[test]
fn every_kustomization_of_the_fleets_builds() {
    let fleets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fleets");
    let Ok(fleets) = fleets.canonicalize() else { return };
    let mut dirs = Vec::new();
    kustomizations(&fleets, &mut dirs);
    dirs.sort();
    assert!(!dirs.is_empty());
    for dir in dirs {
        match build(Path::new("/"), &dir, &Options::command_line()) {
            Ok(objects) => {
                if let Some(want) = real(&dir) {
                    assert!(to_yaml(&objects) == want, "{} builds to something else", dir.display());
                }
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{}: {error}", dir.display());
            }
        }
    }
}
