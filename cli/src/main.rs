//! The `sluice` command line.
//!
//! Data goes to standard output, everything said to a person goes to standard error; the exit status is 0 exactly when
//! the command did what it was asked for.

mod arguments;
mod commands;
mod demo;
mod failure;
mod kinds;
mod objects;
mod session;
mod table;
mod talk;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, ClusterCommand, Command, DebugTarget, HistoryTarget, KustomizeCommand};
use session::Session;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return failure::usage(&error),
    };
    // Seldom needs a cluster, and starts in a millisecond without a runtime.
    if let Command::Helm(helm) = arguments.command {
        return commands::helm::run(*helm, &arguments.global);
    }
    // Fails only if a provider is installed already, which is then as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure::report(&anyhow::Error::new(error).context("cannot start")),
    };
    match runtime.block_on(run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let global = arguments.global;
    match arguments.command {
        Command::Demo(options) => demo::run(options, global.kubeconfig).await,
        Command::Cluster(ClusterCommand::Start(options)) => {
            commands::cluster::start(options, global.kubeconfig).await
        }
        Command::Kustomize(KustomizeCommand::Build(options)) => commands::kustomize::build(options).await,
        Command::Helm(_) => Ok(()), // run by `main`
        Command::Get(command) => {
            let session = Session::open(&global).await?;
            if command.options.watch {
                commands::get::run(&session, &command).await
            } else {
                session.within(commands::get::run(&session, &command)).await
            }
        }
        Command::Reconcile(command) => {
            let session = Session::open(&global).await?;
            session.within(commands::reconcile::run(&session, command)).await
        }
        Command::Suspend(command) => {
            let session = Session::open(&global).await?;
            session.within(commands::suspend::run(&session, command)).await
        }
        Command::Resume(command) => {
            let session = Session::open(&global).await?;
            session.within(commands::resume::run(&session, command)).await
        }
        Command::Tree(command) => {
            let session = Session::open(&global).await?;
            session.within(commands::tree::run(&session, command)).await
        }
        Command::History(HistoryTarget::Helmrelease(options)) => {
            let session = Session::open(&global).await?;
            session.within(commands::history::run(&session, &options)).await
        }
        Command::Debug(DebugTarget::Helmrelease(options)) => {
            let session = Session::open(&global).await?;
            session.within(commands::debug::run(&session, &options)).await
        }
        Command::Events(options) => {
            let session = Session::open(&global).await?;
            session.within(commands::events::run(&session, &options)).await
        }
    }
}
