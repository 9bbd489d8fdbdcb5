//! `sluice demo`: a Git commit reaches a cluster, step by step, each step checked against the API.

mod charts;
mod environment;
mod git_server;
mod manifests;
mod releases;
mod report;
mod repository;
mod steps;
mod wait;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use environment::Environment;
use git_server::GitServer;
use report::Report;
use repository::Repository;
use steps::Stage;

/// Options of `sluice demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Leave everything running at the end, until interrupted, and print the kubeconfig
    #[arg(long)]
    keep: bool,
}

/// Runs the demo on the cluster of `kubeconfig`, or on an embedded API server where there is none.
///
/// # Errors
/// Where a step does not hold; the error names it.
pub(crate) async fn run(arguments: DemoArgs, kubeconfig: Option<PathBuf>) -> Result<()> {
    let folder =
        tempfile::Builder::new().prefix("sluice-demo-").tempdir().context("cannot create a folder")?;
    let mut report = Report::new();

    let repository = step(&mut report, "create a Git repository", async {
        let repository = Repository::create(folder.path()).await?;
        Ok((format!("{} is there, on branch main", Repository::NAME), repository))
    })
    .await?;
    let git = step(&mut report, "serve it over HTTP", async {
        let server = GitServer::start(&repository.served_root()).await?;
        let url = format!("{}/{}", server.url(), Repository::NAME);
        Ok((format!("{url} answers"), server))
    })
    .await?;
    let url = format!("{}/{}", git.url(), Repository::NAME);
    let environment = step(&mut report, "reach the API server", async {
        let environment = Environment::open(kubeconfig.as_deref(), folder.path()).await?;
        Ok((environment.check().await?, environment))
    })
    .await?;
    step(&mut report, "install the CRDs", async { Ok((environment.install().await?, ())) }).await?;

    let stage = Stage { environment: &environment, repository: &repository, url: &url };
    let outcome = stages(&mut report, &stage, folder.path()).await;
    if outcome.is_ok() {
        std::io::stdout().write_all(format!("\n{}", report.table()).as_bytes())?;
        if arguments.keep {
            keep(&environment).await?;
        }
    }
    // What failed matters more than what cleaning up then says.
    let closed = environment.close().await.context("cannot clean up after the demo");
    drop(git);
    outcome.and(closed)
}

/// The steps from the controllers' start on, which leave something to clean up.
async fn stages(report: &mut Report, stage: &Stage<'_>, folder: &std::path::Path) -> Result<()> {
    step(report, "start the controllers", async {
        Ok((stage.environment.start_controllers(folder).await?, ()))
    })
    .await?;
    let commit = step(report, "commit the app", async {
        let commit = stage.first_commit().await?;
        Ok((format!("commit {} on main", commit.get(..8).unwrap_or(&commit)), commit))
    })
    .await?;
    step(report, "apply GitRepository and Kustomization", async { Ok((stage.apply_objects().await?, ())) })
        .await?;
    step(report, "the app becomes ready", async { Ok((stage.becomes_ready(&commit).await?, ())) }).await?;
    step(report, "a new commit rolls out", async { Ok((stage.rolls_out().await?, ())) }).await?;
    step(report, "a removed file is pruned", async { Ok((stage.is_pruned().await?, ())) }).await?;
    step(report, "drift is put right", async { Ok((stage.drift_is_put_right().await?, ())) }).await?;
    step(report, "a bad commit leaves the app alone", async { Ok((stage.bad_commit_fails().await?, ())) })
        .await?;
    step(report, "git revert restores Ready", async { Ok((stage.revert_restores().await?, ())) }).await?;
    releases(report, stage).await
}

/// The second act: Helm charts.
async fn releases(report: &mut Report, stage: &Stage<'_>) -> Result<()> {
    let registry = step(report, "push charts to a registry", async {
        let registry = charts::push().await?;
        Ok((format!("{} has three versions", registry.url("charts/shop")), registry))
    })
    .await?;
    let url = registry.url("charts");
    step(report, "a HelmRelease is installed", async { Ok((stage.chart_is_installed(&url).await?, ())) })
        .await?;
    step(report, "a new version is an upgrade", async { Ok((stage.release_is_upgraded().await?, ())) })
        .await?;
    step(report, "a failing upgrade is rolled back", async {
        Ok((stage.failed_upgrade_is_rolled_back().await?, ()))
    })
    .await?;
    step(report, "drift of a release is put right", async {
        Ok((stage.release_drift_is_put_right().await?, ()))
    })
    .await?;
    step(report, "a chart in Git is released", async { Ok((stage.git_chart_is_released().await?, ())) })
        .await?;
    step(report, "helm list shows the releases", async { Ok((stage.helm_lists_them().await?, ())) }).await
}

/// Runs one step, shows it, and names it where it fails.
async fn step<T>(
    report: &mut Report,
    name: &'static str,
    work: impl Future<Output = Result<(String, T)>>,
) -> Result<T> {
    let running = report.begin(name);
    match work.await {
        Ok((observed, value)) => {
            report.held(running, observed);
            Ok(value)
        }
        Err(error) => {
            report.failed(&running);
            Err(error.context(format!("step \"{name}\" did not hold")))
        }
    }
}

/// Leaves everything running until the user interrupts.
async fn keep(environment: &Environment) -> Result<()> {
    let kubeconfig = environment.kubeconfig().display();
    eprintln!("\nEverything keeps running until you press Ctrl-C. Look around with:");
    eprintln!("  kubectl --kubeconfig {kubeconfig} -n {} get all", manifests::NAMESPACE);
    tokio::signal::ctrl_c().await.context("cannot wait for Ctrl-C")
}
