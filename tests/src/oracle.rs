//! The real `helm` and `kustomize`, and the other binaries that `tests/controlplane/build` makes.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// The folder that `tests/controlplane/build` fills.
///
/// # Errors
/// When neither `SLUICE_CACHE` nor `HOME` is set.
pub fn folder() -> Result<PathBuf> {
    let cache = match std::env::var_os("SLUICE_CACHE") {
        Some(cache) => PathBuf::from(cache),
        None => {
            let home = std::env::var_os("HOME").context("neither SLUICE_CACHE nor HOME is set")?;
            PathBuf::from(home).join(".cache/sluice")
        }
    };
    Ok(cache.join("controlplane/bin"))
}

/// The path of a binary: `helm`, `kustomize`, `kubectl`, `kube-apiserver`, …
///
/// # Errors
/// When it is not built yet; the message says how to.
pub fn find(name: &str) -> Result<PathBuf> {
    let folder = folder()?;
    let path = folder.join(name);
    // The build script writes this file when the binary is whole.
    if path.is_file() && folder.join(format!(".{name}.built")).is_file() {
        return Ok(path);
    }
    bail!("{} is not built; run tests/controlplane/build, which needs Go 1.26", path.display())
}
