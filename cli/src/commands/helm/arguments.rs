//! The flags of `sluice helm`, named as Helm names them.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use sluice_helm::values::Sources;

use crate::arguments::Global;

/// `helm …`
#[derive(Debug, Args)]
pub(crate) struct HelmArguments {
    #[command(flatten)]
    pub(crate) cluster: ClusterOptions,

    #[command(subcommand)]
    pub(crate) command: HelmCommand,
}

/// Helm's names for the flags that choose a cluster, and its variables.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Cluster options")]
pub(crate) struct ClusterOptions {
    /// Context of the kubeconfig to use
    #[arg(long, global = true, env = "HELM_KUBECONTEXT", hide_env = true, value_name = "NAME")]
    kube_context: Option<String>,

    /// Address of the API server
    #[arg(
        long,
        global = true,
        env = "HELM_KUBEAPISERVER",
        hide_env = true,
        hide_short_help = true,
        value_name = "URL"
    )]
    kube_apiserver: Option<String>,

    /// Bearer token for the API server
    #[arg(
        long,
        global = true,
        env = "HELM_KUBETOKEN",
        hide_env = true,
        hide_short_help = true,
        value_name = "TOKEN"
    )]
    kube_token: Option<String>,

    /// User to impersonate
    #[arg(
        long,
        global = true,
        env = "HELM_KUBEASUSER",
        hide_env = true,
        hide_short_help = true,
        value_name = "NAME"
    )]
    kube_as_user: Option<String>,

    /// Group to impersonate; repeatable
    #[arg(
        long,
        global = true,
        env = "HELM_KUBEASGROUPS",
        hide_env = true,
        hide_short_help = true,
        value_name = "NAME",
        value_delimiter = ','
    )]
    kube_as_group: Vec<String>,

    /// Certificates to trust for the API server
    #[arg(
        long,
        global = true,
        env = "HELM_KUBECAFILE",
        hide_env = true,
        hide_short_help = true,
        value_name = "FILE"
    )]
    kube_ca_file: Option<PathBuf>,

    /// Name to expect in the API server's certificate
    #[arg(
        long,
        global = true,
        env = "HELM_KUBETLS_SERVER_NAME",
        hide_env = true,
        hide_short_help = true,
        value_name = "NAME"
    )]
    kube_tls_server_name: Option<String>,

    /// Do not check the API server's certificate
    #[arg(
        long,
        global = true,
        env = "HELM_KUBEINSECURE_SKIP_TLS_VERIFY",
        hide_env = true,
        hide_short_help = true
    )]
    kube_insecure_skip_tls_verify: bool,
}

impl ClusterOptions {
    /// The flags of every command, and over them these. An empty text is as good as none.
    pub(crate) fn over(self, global: &Global) -> Global {
        let text = |ours: Option<String>, theirs: &Option<String>| {
            ours.filter(|text| !text.is_empty()).or_else(|| theirs.clone())
        };
        let groups = self.kube_as_group.into_iter().filter(|group| !group.is_empty());
        Global {
            context: text(self.kube_context, &global.context),
            server: text(self.kube_apiserver, &global.server),
            token: text(self.kube_token, &global.token),
            impersonate: text(self.kube_as_user, &global.impersonate),
            impersonate_groups: global.impersonate_groups.iter().cloned().chain(groups).collect(),
            certificate_authority: self
                .kube_ca_file
                .filter(|file| !file.as_os_str().is_empty())
                .or_else(|| global.certificate_authority.clone()),
            tls_server_name: text(self.kube_tls_server_name, &global.tls_server_name),
            insecure_skip_tls_verify: self.kube_insecure_skip_tls_verify || global.insecure_skip_tls_verify,
            ..global.clone()
        }
    }
}

/// The commands of `helm`.
#[derive(Debug, Subcommand)]
pub(crate) enum HelmCommand {
    /// Print what a chart renders to
    Template(Box<TemplateOptions>),
    /// Look for mistakes in charts
    Lint(LintOptions),
    /// Pack charts into archives
    Package(PackageOptions),
    /// Print parts of a chart
    #[command(subcommand, alias = "inspect", arg_required_else_help = true)]
    Show(ShowCommand),
}

/// Where values come from. Between kinds the order is fixed: files, JSON, then the others as listed.
#[derive(Debug, Default, Args)]
pub(crate) struct ValueOptions {
    /// Values in a YAML file; `-` reads standard input; repeatable
    #[arg(short = 'f', long = "values", value_name = "FILE", value_delimiter = ',')]
    files: Vec<String>,

    /// Values as JSON: key=value or an object; repeatable
    #[arg(long, value_name = "JSON")]
    set_json: Vec<String>,

    /// Values: key1=val1,key2=val2; repeatable
    #[arg(long, value_name = "PAIRS")]
    set: Vec<String>,

    /// Values that are always text; repeatable
    #[arg(long, value_name = "PAIRS")]
    set_string: Vec<String>,

    /// Values read from files: key1=path1; repeatable
    #[arg(long, value_name = "PAIRS")]
    set_file: Vec<String>,

    /// One value, taken to the letter; repeatable
    #[arg(long, value_name = "PAIR")]
    set_literal: Vec<String>,
}

impl ValueOptions {
    /// The arguments as the engine takes them.
    pub(crate) fn sources(&self) -> Sources {
        Sources {
            files: self.files.clone(),
            set_json: self.set_json.clone(),
            set: self.set.clone(),
            set_string: self.set_string.clone(),
            set_file: self.set_file.clone(),
            set_literal: self.set_literal.clone(),
        }
    }
}

/// Options of `helm template`.
#[derive(Debug, Args)]
pub(crate) struct TemplateOptions {
    /// The release's name, and the chart: a folder or an archive
    #[arg(value_name = "NAME] [CHART")]
    pub(crate) arguments: Vec<String>,

    #[command(flatten)]
    pub(crate) values: ValueOptions,

    /// Version of Kubernetes to render for, where no cluster is asked [default: v1.37.0]
    #[arg(long, value_name = "VERSION")]
    pub(crate) kube_version: Option<String>,

    /// APIs that the cluster has, besides Kubernetes' own; repeatable
    #[arg(short = 'a', long, value_name = "APIS", value_delimiter = ',')]
    pub(crate) api_versions: Vec<String>,

    /// Print the CRDs of the chart, too
    #[arg(long)]
    pub(crate) include_crds: bool,

    /// Leave the CRDs out; this is the default
    #[arg(long, hide_short_help = true)]
    pub(crate) skip_crds: bool,

    /// Print only what these templates render, as templates/*.yaml; repeatable
    #[arg(short = 's', long, value_name = "PATTERN")]
    pub(crate) show_only: Vec<String>,

    /// Write files below this folder instead of printing
    #[arg(long, value_name = "FOLDER")]
    pub(crate) output_dir: Option<PathBuf>,

    /// Put a folder with the release's name below --output-dir
    #[arg(long)]
    pub(crate) release_name: bool,

    /// Render as an upgrade, not as an install
    #[arg(long)]
    pub(crate) is_upgrade: bool,

    /// Leave the hooks out
    #[arg(long)]
    pub(crate) no_hooks: bool,

    /// Leave the tests out
    #[arg(long)]
    pub(crate) skip_tests: bool,

    /// Do not check the values against the chart's schema
    #[arg(long)]
    pub(crate) skip_schema_validation: bool,

    /// Template that makes the release's name
    #[arg(long, value_name = "TEMPLATE")]
    pub(crate) name_template: Option<String>,

    /// Let the release have the default name
    #[arg(short = 'g', long)]
    pub(crate) generate_name: bool,

    /// `client`; `server` asks the cluster what it has, for what `lookup` looks up, and whether it knows all kinds
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "unset", value_name = "WHERE")]
    pub(crate) dry_run: Option<String>,

    /// Old name of --dry-run=server
    #[arg(long, hide_short_help = true)]
    pub(crate) validate: bool,

    /// Fetch missing subcharts first: not done by this command
    #[arg(long, hide_short_help = true)]
    pub(crate) dependency_update: bool,

    /// Plugin that changes what was rendered: not run by this command
    #[arg(long, hide_short_help = true, value_name = "PLUGIN")]
    pub(crate) post_renderer: Option<String>,

    /// Print also what was rendered before a failure
    #[arg(long)]
    pub(crate) debug: bool,

    /// Has no effect on charts on this machine
    #[arg(long, hide = true, value_name = "VERSION")]
    pub(crate) version: Option<String>,

    /// Has no effect on charts on this machine
    #[arg(long, hide = true)]
    pub(crate) devel: bool,

    /// With --dry-run=server: objects that are there already may belong to somebody else
    #[arg(long, hide_short_help = true)]
    pub(crate) take_ownership: bool,

    /// Has no effect: a cluster checks fields when objects are applied
    #[arg(long, hide = true)]
    pub(crate) disable_openapi_validation: bool,

    /// Has no effect: notes are never printed
    #[arg(long, hide = true)]
    pub(crate) render_subchart_notes: bool,
}

/// Options of `helm lint`.
#[derive(Debug, Args)]
pub(crate) struct LintOptions {
    /// The charts: folders or archives
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<String>,

    #[command(flatten)]
    pub(crate) values: ValueOptions,

    /// Fail on warnings, too
    #[arg(long)]
    pub(crate) strict: bool,

    /// Print only warnings and errors
    #[arg(long)]
    pub(crate) quiet: bool,

    /// Lint the charts in charts/, too
    #[arg(long)]
    pub(crate) with_subcharts: bool,

    /// Do not check the values against the chart's schema
    #[arg(long)]
    pub(crate) skip_schema_validation: bool,

    /// Version of Kubernetes to lint for [default: v1.37.0]
    #[arg(long, value_name = "VERSION")]
    pub(crate) kube_version: Option<String>,
}

/// Options of `helm package`.
#[derive(Debug, Args)]
pub(crate) struct PackageOptions {
    /// The charts: folders
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<String>,

    /// Version to give to the chart
    #[arg(long, value_name = "VERSION")]
    pub(crate) version: Option<String>,

    /// Version of what the chart installs
    #[arg(long, value_name = "VERSION")]
    pub(crate) app_version: Option<String>,

    /// Folder to write to
    #[arg(short = 'd', long, default_value = ".", value_name = "FOLDER")]
    pub(crate) destination: PathBuf,

    /// Fetch missing subcharts first: not done by this command
    #[arg(short = 'u', long, hide_short_help = true)]
    pub(crate) dependency_update: bool,

    /// Sign the archive: not done by this command
    #[arg(long, hide_short_help = true)]
    pub(crate) sign: bool,

    /// Key to sign with
    #[arg(long, hide_short_help = true)]
    pub(crate) key: Option<String>,
}

/// `helm show …`
#[derive(Debug, Subcommand)]
pub(crate) enum ShowCommand {
    /// Print Chart.yaml
    Chart(ShowOptions),
    /// Print values.yaml
    Values(ShowValuesOptions),
    /// Print the README
    Readme(ShowOptions),
    /// Print the CRDs
    Crds(ShowOptions),
    /// Print all of these
    All(ShowOptions),
}

/// Options of `helm show …`.
#[derive(Debug, Args)]
pub(crate) struct ShowOptions {
    /// The chart: a folder or an archive
    #[arg(value_name = "CHART")]
    pub(crate) charts: Vec<String>,
}

/// Options of `helm show values`.
#[derive(Debug, Args)]
pub(crate) struct ShowValuesOptions {
    #[command(flatten)]
    pub(crate) chart: ShowOptions,

    /// Print only what this path finds, as in kubectl
    #[arg(long, value_name = "PATH")]
    pub(crate) jsonpath: Option<String>,
}
