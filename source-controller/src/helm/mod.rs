//! Charts and where they come from: HelmRepository.

mod access;
mod download;
pub mod repository;
#[cfg(test)]
mod repository_tests;

/// What a server of charts is told that we are: some only answer to Helm.
const USER_AGENT: &str = "Helm/4.3.1";
