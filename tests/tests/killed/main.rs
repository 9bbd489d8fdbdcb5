//! `kill -9` of either controller at each step: the result converges, and nothing that Git still holds is deleted.
//!
//! A step is a request that changes something in the API: between two of them a controller can only have changed files,
//! which [`files`] looks at. The embedded server loses the request at which it kills, so that each state of the API
//! between two changes is tried; on a real server a sample of the steps is.

mod files;
mod kustomize;
mod source;
mod steps;
mod world;

use anyhow::Result;
use sluice_tests::{Cluster, on_both_servers};

use steps::at_each_step;
use world::World;

on_both_servers!(
    an_install_goes_on,
    an_install_that_git_has_overtaken_leaves_nothing,
    an_install_that_is_given_up_leaves_nothing,
    a_change_goes_on,
    a_deletion_goes_on,
    a_first_fetch_goes_on,
    a_fetch_goes_on,
    the_deletion_of_a_source_goes_on,
    what_a_killed_fetch_wrote_is_used_or_goes,
    what_a_killed_build_unpacked_goes,
);

async fn an_install_goes_on(cluster: &Cluster) -> Result<()> {
    at_each_step(&mut World::new(cluster).await?, &kustomize::Install).await
}

async fn an_install_that_git_has_overtaken_leaves_nothing(cluster: &Cluster) -> Result<()> {
    at_each_step(&mut World::new(cluster).await?, &kustomize::OutdatedInstall).await
}

async fn an_install_that_is_given_up_leaves_nothing(cluster: &Cluster) -> Result<()> {
    at_each_step(&mut World::new(cluster).await?, &kustomize::AbandonedInstall).await
}

async fn a_change_goes_on(cluster: &Cluster) -> Result<()> {
    at_each_step(&mut World::new(cluster).await?, &kustomize::Change).await
}

async fn a_deletion_goes_on(cluster: &Cluster) -> Result<()> {
    at_each_step(&mut World::new(cluster).await?, &kustomize::Deletion).await
}

async fn a_first_fetch_goes_on(cluster: &Cluster) -> Result<()> {
    at_each_step(&mut World::new(cluster).await?, &source::First).await
}

async fn a_fetch_goes_on(cluster: &Cluster) -> Result<()> {
    at_each_step(&mut World::new(cluster).await?, &source::Commit).await
}

async fn the_deletion_of_a_source_goes_on(cluster: &Cluster) -> Result<()> {
    at_each_step(&mut World::new(cluster).await?, &source::Deletion).await
}

async fn what_a_killed_fetch_wrote_is_used_or_goes(cluster: &Cluster) -> Result<()> {
    files::of_a_fetch(&mut World::new(cluster).await?).await
}

async fn what_a_killed_build_unpacked_goes(cluster: &Cluster) -> Result<()> {
    files::of_a_build(&mut World::new(cluster).await?).await
}
