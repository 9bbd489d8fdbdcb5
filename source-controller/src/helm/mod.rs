//! Charts and where they come from: HelmRepository and HelmChart.

mod access;
pub mod chart;
mod download;
mod remote;
pub mod repository;
#[cfg(test)]
mod repository_tests;

/// What a server of charts is told that we are: some only answer to Helm.
const USER_AGENT: &str = "Helm/4.3.1";
