//! kustomize build, natively: pure functions from files to objects.
//!
//! ```no_run
//! use sluice_kustomize::{Options, build, to_yaml};
//! use std::path::Path;
//!
//! let objects = build(Path::new("/artifact"), Path::new("/artifact/deploy"), &Options::flux())?;
//! let stream = to_yaml(&objects); // what `kustomize build` prints
//! # Ok::<(), sluice_kustomize::BuildError>(())
//! ```
//!
//! Invariant: no async, no clock, no environment, no network; same files in, same bytes out. Nothing outside the given
//! root is ever read, also not through links. Builds share no state and may run in parallel.
//!
//! Output, order and texts are those of kustomize 5.8.2. Differences are deliberate and few: duplicate keys are
//! reported at load with file and line, integer-like keys are accepted, and an error names only what is wrong with the
//! path instead of every way in which it was tried. What is not built yet is refused by name.

mod accumulate;
mod config;
mod error;
mod field_spec;
pub mod file;
mod generate;
mod helm;
mod id;
mod loader;
mod metadata;
mod objects;
mod options;
mod order;
mod patch;
mod plugin;
mod read;
mod references;
mod replacement;
mod resource;
mod tables;
mod transform;
mod vars;

use std::path::Path;

pub use error::{BuildError, ErrorKind};
pub use file::Kustomization;
pub use helm::{ChartRenderer, ChartRequest, Helm};
pub use options::{Limits, LoadRestrictions, Options, Order};
use sluice_yaml::Value;
pub use tables::merge_keys;

/// Builds the kustomization in `dir` and returns its objects in output order.
///
/// `dir` is absolute or relative to `root`; both are resolved through links first, and `dir` must be inside `root`. No
/// file outside `root` is read.
///
/// # Errors
/// The first problem, with kustomize's text and the file it is in. Nothing is ignored: a field that is not supported
/// is an error that names it ([`ErrorKind::Unsupported`]).
pub fn build(root: &Path, dir: &Path, options: &Options) -> Result<Vec<Value>, BuildError> {
    build_reporting(root, dir, None, options).map(|built| built.objects)
}

/// Builds like [`build`], with `kustomization` in place of the kustomization file of `dir`, which need not exist.
///
/// # Errors
/// As [`build`].
pub fn build_with(
    root: &Path,
    dir: &Path,
    kustomization: &Kustomization,
    options: &Options,
) -> Result<Vec<Value>, BuildError> {
    build_reporting(root, dir, Some(kustomization), options).map(|built| built.objects)
}

/// What a build yields.
#[derive(Debug, Clone, PartialEq)]
pub struct Built {
    /// The objects in output order.
    pub objects: Vec<Value>,
    /// Deprecations, one line each, as kustomize prints them to standard error, in the order in which the files were
    /// read.
    pub warnings: Vec<String>,
}

/// Builds like [`build`] or, with a kustomization, like [`build_with`], and returns the warnings, too.
///
/// # Errors
/// As [`build`].
pub fn build_reporting(
    root: &Path,
    dir: &Path,
    kustomization: Option<&Kustomization>,
    options: &Options,
) -> Result<Built, BuildError> {
    accumulate::build(root, dir, kustomization, options)
}

/// Reads a manifest file as kustomize does and returns its objects; Lists are expanded.
///
/// For telling whether a file can be a resource: each document must be a map with a kind and a name.
///
/// # Errors
/// `missing Resource metadata`, `missing metadata.name in object …`, `MalformedYAMLError: …`.
pub fn read_objects(text: &[u8]) -> Result<Vec<Value>, BuildError> {
    accumulate::read_objects(text)
}

/// The stream that `kustomize build` prints: objects separated by `---`, keys sorted; empty for no objects.
#[must_use]
pub fn to_yaml(objects: &[Value]) -> String {
    let documents: Vec<_> = objects.iter().map(object_to_yaml).collect();
    documents.join("---\n")
}

/// One object as `kustomize build` prints it, ending with a newline.
#[must_use]
pub fn object_to_yaml(object: &Value) -> String {
    sluice_yaml::to_string(object)
}
