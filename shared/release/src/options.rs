//! What a caller may choose about an action.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sluice_apply::Evaluate;
use sluice_helm::manifest::Strategy;
use sluice_kustomize::file::{Image, Patch};

/// What is waited for after objects were sent.
#[derive(Clone)]
pub struct Wait {
    /// Whether anything is; hooks always are.
    pub enabled: bool,
    /// Whether Jobs count when they are done, rather than when they exist.
    pub jobs: bool,
    /// By which rules.
    pub strategy: WaitStrategy,
    /// Custom checks; the first that covers a kind judges it. Only with [`WaitStrategy::Poller`].
    pub evaluators: Vec<Arc<dyn Evaluate>>,
}

impl Default for Wait {
    fn default() -> Self {
        Self { enabled: true, jobs: true, strategy: WaitStrategy::Poller, evaluators: Vec::new() }
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait")
            .field("enabled", &self.enabled)
            .field("jobs", &self.jobs)
            .field("strategy", &self.strategy)
            .finish_non_exhaustive()
    }
}

/// When an object counts as ready.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WaitStrategy {
    /// By the rules of kstatus, Helm 4's default.
    #[default]
    Poller,
    /// By the rules of Helm 3.
    Legacy,
}

/// What happens to the CRDs of a chart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CrdPolicy {
    /// Nothing.
    Skip,
    /// Those that are not there are created.
    #[default]
    Create,
    /// Those that are there are replaced, too.
    CreateReplace,
}

/// Whether an upgrade or rollback goes by server-side apply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ServerSide {
    /// Yes.
    Enabled,
    /// No.
    Disabled,
    /// As the revision before.
    #[default]
    Auto,
}

/// What is done to rendered objects before they are used.
#[derive(Debug, Clone, Default)]
pub struct PostRender {
    /// What is fed to the steps.
    pub strategy: Strategy,
    /// Steps of patches and images, one after the other.
    pub steps: Vec<Kustomize>,
    /// Labels of every object, over the chart's.
    pub labels: BTreeMap<String, String>,
    /// Annotations of every object, over the chart's.
    pub annotations: BTreeMap<String, String>,
}

/// One step of post-rendering.
#[derive(Debug, Clone, Default)]
pub struct Kustomize {
    /// Patches, strategic or JSON 6902.
    pub patches: Vec<Patch>,
    /// Images to replace.
    pub images: Vec<Image>,
}

/// How an install goes.
#[derive(Debug, Clone)]
pub struct Install {
    /// Longest time of each wait.
    pub timeout: Duration,
    /// What is waited for.
    pub wait: Wait,
    /// Whether hooks are left out.
    pub disable_hooks: bool,
    /// Whether values are taken without a look at the schemas.
    pub disable_schema_validation: bool,
    /// Whether objects that are there are taken over, whoever made them.
    pub take_ownership: bool,
    /// What happens to CRDs.
    pub crds: CrdPolicy,
    /// Server-side apply, or create and patch.
    pub server_side: bool,
    /// Whether a name may be used again whose last release is uninstalled or failed.
    pub replace: bool,
    /// Whether the namespace is made first.
    pub create_namespace: bool,
    /// Whether templates may ask the resolver.
    pub dns: bool,
    /// What is done to rendered objects.
    pub post_render: PostRender,
}

impl Default for Install {
    fn default() -> Self {
        Self {
            timeout: TIMEOUT,
            wait: Wait::default(),
            disable_hooks: false,
            disable_schema_validation: false,
            take_ownership: true,
            crds: CrdPolicy::Create,
            server_side: true,
            replace: false,
            create_namespace: false,
            dns: false,
            post_render: PostRender::default(),
        }
    }
}

/// How an upgrade goes.
#[derive(Debug, Clone)]
pub struct Upgrade {
    /// Longest time of each wait.
    pub timeout: Duration,
    /// What is waited for.
    pub wait: Wait,
    /// Whether hooks are left out.
    pub disable_hooks: bool,
    /// Whether values are taken without a look at the schemas.
    pub disable_schema_validation: bool,
    /// Whether objects that are there are taken over, whoever made them.
    pub take_ownership: bool,
    /// What happens to CRDs.
    pub crds: CrdPolicy,
    /// Server-side apply, or create and patch.
    pub server_side: ServerSide,
    /// Whether objects are replaced instead of patched; without effect in server-side apply.
    pub force: bool,
    /// Whether objects that a failing upgrade created are deleted.
    pub cleanup_on_fail: bool,
    /// Whether the values of the revision before are the base of the new ones.
    pub preserve_values: bool,
    /// Revisions that are kept; 0 keeps all.
    pub max_history: usize,
    /// Whether templates may ask the resolver.
    pub dns: bool,
    /// What is done to rendered objects.
    pub post_render: PostRender,
}

impl Default for Upgrade {
    fn default() -> Self {
        Self {
            timeout: TIMEOUT,
            wait: Wait::default(),
            disable_hooks: false,
            disable_schema_validation: false,
            take_ownership: true,
            crds: CrdPolicy::Create,
            server_side: ServerSide::Auto,
            force: false,
            cleanup_on_fail: false,
            preserve_values: false,
            max_history: MAX_HISTORY,
            dns: false,
            post_render: PostRender::default(),
        }
    }
}

/// How a rollback goes.
#[derive(Debug, Clone)]
pub struct Rollback {
    /// Longest time of each wait.
    pub timeout: Duration,
    /// What is waited for.
    pub wait: Wait,
    /// Whether hooks are left out.
    pub disable_hooks: bool,
    /// Server-side apply, or create and patch; automatic is as the revision that is gone back to.
    pub server_side: ServerSide,
    /// Whether objects are replaced instead of patched; without effect in server-side apply.
    pub force: bool,
    /// Whether objects that a failing rollback created are deleted.
    pub cleanup_on_fail: bool,
    /// Revisions that are kept; 0 keeps all.
    pub max_history: usize,
}

impl Default for Rollback {
    fn default() -> Self {
        Self {
            timeout: TIMEOUT,
            wait: Wait::default(),
            disable_hooks: false,
            server_side: ServerSide::Auto,
            force: false,
            cleanup_on_fail: false,
            max_history: MAX_HISTORY,
        }
    }
}

/// How an uninstall goes.
#[derive(Debug, Clone)]
pub struct Uninstall {
    /// Longest time of each wait.
    pub timeout: Duration,
    /// What is waited for: hooks, and that objects are gone.
    pub wait: Wait,
    /// Whether hooks are left out.
    pub disable_hooks: bool,
    /// Whether the revisions stay in storage.
    pub keep_history: bool,
    /// What happens to what the objects own.
    pub propagation: Propagation,
}

impl Default for Uninstall {
    fn default() -> Self {
        Self {
            timeout: TIMEOUT,
            wait: Wait::default(),
            disable_hooks: false,
            keep_history: false,
            propagation: Propagation::Background,
        }
    }
}

/// What happens to what a deleted object owns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Propagation {
    /// It is deleted later.
    #[default]
    Background,
    /// It is deleted first.
    Foreground,
    /// It stays.
    Orphan,
}

impl Propagation {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Background => "Background",
            Self::Foreground => "Foreground",
            Self::Orphan => "Orphan",
        }
    }
}

/// How a test goes.
#[derive(Debug, Clone)]
pub struct Test {
    /// Longest time of each hook.
    pub timeout: Duration,
    /// Which hooks run.
    pub filters: Vec<Filter>,
}

impl Default for Test {
    fn default() -> Self {
        Self { timeout: TIMEOUT, filters: Vec::new() }
    }
}

/// Chooses a test hook by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// The hook's name.
    pub name: String,
    /// Whether it is left out; otherwise only hooks that are named run.
    pub exclude: bool,
}

const TIMEOUT: Duration = Duration::from_secs(300);
const MAX_HISTORY: usize = 5;
