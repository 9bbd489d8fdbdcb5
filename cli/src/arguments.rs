//! The command tree and its flags, as clap reads them.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};
use sluice_api::meta::Duration;

use crate::commands::helm::arguments::HelmArguments;
use crate::demo::DemoArgs;
use crate::kinds::{self, Kind};

/// GitOps for Kubernetes: look at, trigger, pause and try out what Sluice (or Flux) does on a cluster
#[derive(Debug, Parser)]
#[command(
    name = "sluice",
    version = concat!("version ", env!("CARGO_PKG_VERSION")),
    disable_version_flag = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,

    /// Print the version
    #[arg(short = 'v', long, action = ArgAction::Version)]
    version: Option<bool>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command: which cluster, as whom, for how long.
#[derive(Debug, Default, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Namespace of the objects [default: $FLUX_SYSTEM_NAMESPACE, else flux-system]
    #[arg(short, long, global = true)]
    pub(crate) namespace: Option<String>,

    /// How long the whole command may take
    #[arg(long, global = true, default_value = "5m0s")]
    pub(crate) timeout: Duration,

    /// Take the namespace of the kubeconfig's context when none is given
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) ns_follows_kube_context: Option<bool>,

    /// Kubeconfig file to use
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig to use
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) context: Option<String>,

    /// Cluster of the kubeconfig to use
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) cluster: Option<String>,

    /// User of the kubeconfig to use
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) user: Option<String>,

    /// Address of the API server
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) server: Option<String>,

    /// Bearer token for the API server
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) token: Option<String>,

    /// Name to expect in the API server's certificate
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) tls_server_name: Option<String>,

    /// User to impersonate
    #[arg(long = "as", global = true, hide_short_help = true)]
    pub(crate) impersonate: Option<String>,

    /// Group to impersonate; repeatable
    #[arg(long = "as-group", global = true, hide_short_help = true)]
    pub(crate) impersonate_groups: Vec<String>,

    /// Certificates to trust for the API server
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE")]
    pub(crate) certificate_authority: Option<PathBuf>,

    /// Client certificate for the API server
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE")]
    pub(crate) client_certificate: Option<String>,

    /// Key of the client certificate
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE")]
    pub(crate) client_key: Option<String>,

    /// Do not check the API server's certificate
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) insecure_skip_tls_verify: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// See a Git commit reach a cluster, step by step, on this machine
    Demo(DemoArgs),
    /// Run a Kubernetes API server on this machine
    #[command(subcommand, arg_required_else_help = true)]
    Cluster(ClusterCommand),
    /// Work with kustomizations on this machine
    #[command(subcommand, arg_required_else_help = true)]
    Kustomize(KustomizeCommand),
    /// Work with Helm charts on this machine
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Helm(Box<HelmArguments>),
    /// List objects and their state
    Get(GetCommand),
    /// Reconcile an object now, and wait for the outcome
    #[command(subcommand, arg_required_else_help = true)]
    Reconcile(ReconcileTarget),
    /// Stop the reconciliation of objects
    #[command(subcommand, arg_required_else_help = true)]
    Suspend(Target<SuspendOptions>),
    /// Go on with the reconciliation of suspended objects
    #[command(subcommand, arg_required_else_help = true)]
    Resume(Target<ResumeOptions>),
    /// Show what an object put on the cluster
    #[command(subcommand, arg_required_else_help = true)]
    Tree(TreeTarget),
    /// Show what was released, newest first
    #[command(subcommand, arg_required_else_help = true)]
    History(HistoryTarget),
    /// Print what an object's controller knows and works with
    #[command(subcommand, arg_required_else_help = true)]
    Debug(DebugTarget),
    /// Show the events of Flux's kinds
    Events(EventsOptions),
}

/// `cluster …`
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Run the embedded API server until interrupted; --kubeconfig names the file to write
    Start(ClusterStartOptions),
}

/// Options of `cluster start`.
#[derive(Debug, Args)]
pub(crate) struct ClusterStartOptions {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) listen: std::net::SocketAddr,

    /// How many nodes the cluster has
    #[arg(long, default_value_t = 1)]
    pub(crate) nodes: usize,

    /// Install the custom resource definitions of all kinds
    #[arg(long)]
    pub(crate) crds: bool,
}

/// `kustomize …`
#[derive(Debug, Subcommand)]
pub(crate) enum KustomizeCommand {
    /// Print what a kustomization builds, as kustomize does
    Build(KustomizeBuildOptions),
}

/// Options of `kustomize build`.
#[derive(Debug, Args)]
pub(crate) struct KustomizeBuildOptions {
    /// Directory of the kustomization
    #[arg(default_value = ".")]
    pub(crate) dir: PathBuf,

    /// LoadRestrictionsRootOnly, or LoadRestrictionsNone to read files from anywhere
    #[arg(long, default_value = "LoadRestrictionsRootOnly",
          value_parser = ["LoadRestrictionsRootOnly", "LoadRestrictionsNone"])]
    pub(crate) load_restrictor: String,

    /// File to write to instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Render the charts of helmCharts
    #[arg(long)]
    pub(crate) enable_helm: bool,

    /// Version of Kubernetes for charts whose entry names none
    #[arg(long, value_name = "VERSION")]
    pub(crate) helm_kube_version: Option<String>,

    /// APIs of the cluster for charts whose entry names none; repeatable
    #[arg(long, value_name = "API")]
    pub(crate) helm_api_versions: Vec<String>,

    /// Has no effect: no program is run to render charts
    #[arg(long, hide = true, value_name = "COMMAND")]
    pub(crate) helm_command: Option<String>,
}

/// `get …`
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct GetCommand {
    #[command(flatten)]
    pub(crate) options: GetOptions,

    #[command(subcommand)]
    pub(crate) target: GetTarget,
}

/// Flags of every `get`.
#[derive(Debug, Default, Args)]
pub(crate) struct GetOptions {
    /// List the objects of all namespaces
    #[arg(short = 'A', long, global = true)]
    pub(crate) all_namespaces: bool,

    /// List only objects with these labels, as in kubectl
    #[arg(short = 'l', long, global = true)]
    pub(crate) label_selector: Option<String>,

    /// Leave out the header
    #[arg(long, global = true)]
    pub(crate) no_header: bool,

    /// List only objects with this condition, as type=status or type!=status
    #[arg(long, global = true)]
    pub(crate) status_selector: Option<String>,

    /// Print changes as they happen, until interrupted
    #[arg(short, long, global = true)]
    pub(crate) watch: bool,
}

/// What `get` lists.
#[derive(Debug, Subcommand)]
pub(crate) enum GetTarget {
    /// Sources
    #[command(subcommand, alias = "source", arg_required_else_help = true)]
    Sources(GetSource),
    /// Kustomizations
    #[command(aliases = ["kustomization", "ks"])]
    Kustomizations(GetWithSource),
    /// HelmReleases
    #[command(aliases = ["helmrelease", "hr"])]
    Helmreleases(GetWithSource),
    /// Receivers
    #[command(alias = "receiver")]
    Receivers(OptionalName),
    /// Alerts
    #[command(alias = "alert")]
    Alerts(OptionalName),
    /// Providers of alerts
    #[command(alias = "alert-provider")]
    AlertProviders(OptionalName),
    /// Everything
    All,
}

/// `get sources …`
#[derive(Debug, Subcommand)]
pub(crate) enum GetSource {
    /// GitRepositories
    Git(OptionalName),
    /// OCIRepositories
    Oci(OptionalName),
    /// Buckets
    Bucket(OptionalName),
    /// HelmRepositories
    Helm(OptionalName),
    /// HelmCharts
    Chart(OptionalName),
    /// ExternalArtifacts
    External(OptionalName),
    /// All sources
    All,
}

/// The name of one object to list.
#[derive(Debug, Args)]
pub(crate) struct OptionalName {
    /// Name of the object; by default all are listed
    pub(crate) name: Option<String>,
}

/// The name of one object to list, and whether to show where it comes from.
#[derive(Debug, Args)]
pub(crate) struct GetWithSource {
    /// Name of the object; by default all are listed
    pub(crate) name: Option<String>,

    /// Add a column with the source
    #[arg(long)]
    pub(crate) show_source: bool,
}

/// `reconcile …`
#[derive(Debug, Subcommand)]
pub(crate) enum ReconcileTarget {
    /// A source
    #[command(subcommand, alias = "sources", arg_required_else_help = true)]
    Source(ReconcileSource),
    /// A Kustomization
    #[command(alias = "ks")]
    Kustomization(ReconcileWithSource),
    /// A HelmRelease
    #[command(alias = "hr")]
    Helmrelease(ReconcileHelmRelease),
    /// A Receiver
    Receiver(ReconcileName),
}

/// `reconcile source …`
#[derive(Debug, Subcommand)]
pub(crate) enum ReconcileSource {
    /// A GitRepository
    Git(ReconcileName),
    /// An OCIRepository
    Oci(ReconcileName),
    /// A Bucket
    Bucket(ReconcileName),
    /// A HelmRepository
    Helm(ReconcileName),
    /// A HelmChart
    Chart(ReconcileWithSource),
}

/// The name of an object to reconcile.
#[derive(Debug, Args)]
pub(crate) struct ReconcileName {
    /// Name of the object
    pub(crate) names: Vec<String>,
}

/// The name of an object to reconcile, and whether its source comes first.
#[derive(Debug, Args)]
pub(crate) struct ReconcileWithSource {
    /// Name of the object
    pub(crate) names: Vec<String>,

    /// Reconcile the source first
    #[arg(long)]
    pub(crate) with_source: bool,
}

/// Options of `reconcile helmrelease`.
#[derive(Debug, Args)]
pub(crate) struct ReconcileHelmRelease {
    #[command(flatten)]
    pub(crate) common: ReconcileWithSource,

    /// Install or upgrade once, even if nothing changed or retries are exhausted
    #[arg(long)]
    pub(crate) force: bool,

    /// Forget the failures that count against the retries
    #[arg(long)]
    pub(crate) reset: bool,
}

/// The kinds that can be suspended.
#[derive(Debug, Subcommand)]
pub(crate) enum Target<A: Args> {
    /// Sources
    #[command(subcommand, alias = "sources", arg_required_else_help = true)]
    Source(Source<A>),
    /// Kustomizations
    #[command(alias = "ks")]
    Kustomization(A),
    /// HelmReleases
    #[command(alias = "hr")]
    Helmrelease(A),
    /// Receivers
    Receiver(A),
    /// Alerts
    Alert(A),
    /// Providers of alerts
    AlertProvider(A),
}

impl<A: Args> Target<A> {
    /// The kind that was named, and its options.
    pub(crate) fn split(self) -> (&'static Kind, A) {
        match self {
            Self::Source(source) => source.split(),
            Self::Kustomization(options) => (&kinds::KUSTOMIZATION, options),
            Self::Helmrelease(options) => (&kinds::HELM_RELEASE, options),
            Self::Receiver(options) => (&kinds::RECEIVER, options),
            Self::Alert(options) => (&kinds::ALERT, options),
            Self::AlertProvider(options) => (&kinds::PROVIDER, options),
        }
    }
}

/// The kinds of source that are reconciled.
#[derive(Debug, Subcommand)]
pub(crate) enum Source<A: Args> {
    /// GitRepositories
    Git(A),
    /// OCIRepositories
    Oci(A),
    /// Buckets
    Bucket(A),
    /// HelmRepositories
    Helm(A),
    /// HelmCharts
    Chart(A),
}

impl<A: Args> Source<A> {
    /// The kind that was named, and its options.
    pub(crate) fn split(self) -> (&'static Kind, A) {
        match self {
            Self::Git(options) => (&kinds::GIT_REPOSITORY, options),
            Self::Oci(options) => (&kinds::OCI_REPOSITORY, options),
            Self::Bucket(options) => (&kinds::BUCKET, options),
            Self::Helm(options) => (&kinds::HELM_REPOSITORY, options),
            Self::Chart(options) => (&kinds::HELM_CHART, options),
        }
    }
}

/// Options of `suspend`.
#[derive(Debug, Args)]
pub(crate) struct SuspendOptions {
    /// Names of the objects
    pub(crate) names: Vec<String>,

    /// Suspend all objects of the namespace
    #[arg(long)]
    pub(crate) all: bool,
}

/// Options of `resume`.
#[derive(Debug, Args)]
pub(crate) struct ResumeOptions {
    /// Names of the objects
    pub(crate) names: Vec<String>,

    /// Resume all objects of the namespace
    #[arg(long)]
    pub(crate) all: bool,

    /// Wait for the outcome; by default only when one name is given
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) wait: Option<bool>,
}

/// `tree …`
#[derive(Debug, Subcommand)]
pub(crate) enum TreeTarget {
    /// Show what a Kustomization applied, and what the Kustomizations and HelmReleases among that applied
    #[command(alias = "ks")]
    Kustomization(TreeOptions),
    /// Show what a HelmRelease installed
    #[command(alias = "hr")]
    Helmrelease(TreeOptions),
}

/// Options of `tree`.
#[derive(Debug, Args)]
pub(crate) struct TreeOptions {
    /// Name of the object
    pub(crate) name: Option<String>,

    /// Show only objects of Flux's kinds
    #[arg(long)]
    pub(crate) compact: bool,

    /// Print json or yaml instead of a drawing
    #[arg(short, long, value_parser = ["json", "yaml"])]
    pub(crate) output: Option<String>,
}

/// `history …`
#[derive(Debug, Subcommand)]
pub(crate) enum HistoryTarget {
    /// The releases of a HelmRelease
    #[command(alias = "hr")]
    Helmrelease(HistoryOptions),
}

/// Options of `history`.
#[derive(Debug, Args)]
pub(crate) struct HistoryOptions {
    /// Name of the object
    pub(crate) name: Option<String>,

    /// Print json or yaml instead of a table
    #[arg(short, long, value_parser = ["json", "yaml"])]
    pub(crate) output: Option<String>,
}

/// `debug …`
#[derive(Debug, Subcommand)]
pub(crate) enum DebugTarget {
    /// Status, values or history of a HelmRelease
    #[command(alias = "hr")]
    Helmrelease(DebugHelmRelease),
}

/// Options of `debug helmrelease`.
#[derive(Debug, Args)]
pub(crate) struct DebugHelmRelease {
    /// Name of the HelmRelease
    pub(crate) name: Option<String>,

    /// Print the status
    #[arg(long)]
    pub(crate) show_status: bool,

    /// Print the history
    #[arg(long)]
    pub(crate) show_history: bool,

    /// Print the values as the chart gets them; what came from Secrets is masked
    #[arg(long)]
    pub(crate) show_values: bool,

    /// With --show-values: print what came from Secrets, too
    #[arg(long, requires = "show_values")]
    pub(crate) show_secrets: bool,
}

/// Options of `events`.
#[derive(Debug, Args)]
pub(crate) struct EventsOptions {
    /// Show the events of all namespaces
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,

    /// Show only the events of this object and what it refers to, as Kind/name, or of this Kind
    #[arg(long = "for", value_name = "KIND[/NAME]")]
    pub(crate) selector: Option<String>,

    /// Show only events of these types: Normal, Warning
    #[arg(long, value_delimiter = ',')]
    pub(crate) types: Vec<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_tree_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn global_flags_go_anywhere_and_aliases_name_the_same_kind() {
        for line in [
            "sluice -n apps suspend ks podinfo",
            "sluice suspend kustomization podinfo -n apps",
            "sluice suspend -n=apps kustomization podinfo",
        ] {
            let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(arguments.global.namespace.as_deref(), Some("apps"), "{line}");
            let Command::Suspend(target) = arguments.command else { panic!("{line}") };
            let (kind, options) = target.split();
            assert_eq!((kind.kind, options.names), ("Kustomization", vec!["podinfo".to_owned()]));
        }
    }
}
