//! The harness of the whole-system tests.
//!
//! A test is written once, as a function that takes a [`Cluster`], and [`on_both_servers!`] makes two of it: one on the
//! embedded API server, which is part of `cargo test`, and one on a real control plane (kube-apiserver, etcd,
//! kube-controller-manager, kube-scheduler, kwok for the nodes), which the feature `real-cluster` adds:
//!
//! ```text
//! tests/controlplane/build && cargo test -p sluice-tests --features real-cluster
//! ```
//!
//! Controllers run as processes of their own ([`Controller`]), so that a test can kill them; [`flux`] has both of them,
//! their objects, and what a test waits for. The tools that the engines
//! are compared with are found by [`oracle::find`].

mod cluster;
mod control_plane;
mod controller;
pub mod flux;
pub mod oracle;
mod ports;
mod process;
mod run;
mod trap;
mod wait;

pub use cluster::{Cluster, Request};
pub use controller::{Controller, Kind};
pub use process::Process;
pub use run::run;
pub use trap::Trap;
pub use wait::{PATIENCE, eventually};

/// Makes two tests of each function `async fn name(cluster: &Cluster) -> anyhow::Result<()>`: `name::on_the_embedded_server`
/// and, with the feature `real-cluster`, `name::on_a_real_server`.
#[macro_export]
macro_rules! on_both_servers {
    ($($(#[$attribute:meta])* $name:ident),* $(,)?) => {$(
        $(#[$attribute])*
        mod $name {
            #[test]
            fn on_the_embedded_server() -> anyhow::Result<()> {
                $crate::run($crate::Cluster::embedded(), async |cluster| super::$name(cluster).await)
            }

            #[cfg(feature = "real-cluster")]
            #[test]
            fn on_a_real_server() -> anyhow::Result<()> {
                $crate::run($crate::Cluster::real(), async |cluster| super::$name(cluster).await)
            }
        }
    )*};
}
