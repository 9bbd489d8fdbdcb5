//! What a caller may choose.

use crate::helm::Helm;

/// Which files a kustomization may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoadRestrictions {
    /// Only files in or below the directory of the kustomization that names them: the default of kustomize.
    RootOnly,
    /// Any file inside the root of the build: as Flux does, with the artifact as root.
    None,
}

/// The order of the output when the kustomization file does not choose one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// Namespaces, definitions and so on first, webhook configurations last: the default of the command line.
    Legacy,
    /// As loaded: the default of Flux.
    Fifo,
}

/// Bounds on one build, which may be of untrusted files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Bytes of all files, each counted as often as it is read.
    pub total_bytes: u64,
    /// Files and directories that are opened, each counted as often as it is.
    pub files: usize,
    /// Bytes that patches, replacements, labels and the like may add to objects: small entries are not counted.
    pub added_bytes: usize,
    /// Objects in the result, also in between.
    pub objects: usize,
    /// Kustomizations below each other.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 32 << 20,
            total_bytes: 256 << 20,
            files: 100_000,
            added_bytes: 512 << 20,
            objects: 50_000,
            depth: 64,
        }
    }
}

/// How to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Which files may be read.
    pub load_restrictions: LoadRestrictions,
    /// The order where the root file has no `sortOptions`.
    pub order: Order,
    /// Bounds.
    pub limits: Limits,
    /// What error texts show in place of the root directory; `None` shows it as it is. A controller that unpacks to a
    /// new temporary directory each time gives `""` or a fixed name here, so that the same failure has the same text.
    pub shown_root: Option<String>,
    /// The value of the label that `buildMetadata: [managedByLabel]` sets.
    pub managed_by: String,
    /// How charts are rendered; without it, `helmCharts` is refused.
    pub helm: Option<Helm>,
}

impl Options {
    /// As `kustomize build` on the command line.
    #[must_use]
    pub fn command_line() -> Self {
        Self {
            load_restrictions: LoadRestrictions::RootOnly,
            order: Order::Legacy,
            limits: Limits::default(),
            shown_root: None,
            managed_by: format!("sluice-{}", env!("CARGO_PKG_VERSION")),
            helm: None,
        }
    }

    /// As Flux builds an artifact: no load restrictions inside the root, no sorting.
    #[must_use]
    pub fn flux() -> Self {
        Self { load_restrictions: LoadRestrictions::None, order: Order::Fifo, ..Self::command_line() }
    }
}
