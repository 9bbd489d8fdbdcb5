//! An embedded Kubernetes API server for demos, hermetic tests and `sluice simulate`.
//!
//! It serves the real wire protocol on a real HTTPS port, so that kubectl, kube-rs and client-go work with it
//! unchanged, and it is judged by kube-apiserver: where the two differ, this one is wrong. There is no kubelet and no
//! container runtime; the built-in controllers play the part of kube-controller-manager and the nodes (see
//! [`controllers`](#simulated-workloads) below).
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let server = sluice_simulator::Server::start(Default::default()).await?;
//! std::fs::write("kubeconfig", server.kubeconfig())?;
//! // … use it …
//! server.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Simulated workloads
//! Pods become Running and Ready at once, unless the annotation `sluice.dev/simulate` on the workload (Deployment,
//! StatefulSet, DaemonSet, Job, Pod) or on its pod template says otherwise:
//!
//! | value | effect |
//! |---|---|
//! | `fail` | the container crashes: pods stay unready in CrashLoopBackOff, Jobs fail, the Deployment exceeds its progress deadline at once |
//! | `slow=30s` | pods become ready after that time (a Go duration) |
//! | `never` | pods stay Pending (ContainerCreating) for ever |
//!
//! # Layers
//! `storage` knows bytes, revisions and watches; `schema`, `merge` and `validate` are pure functions over values; `api`
//! holds the semantics of the verbs; `http` holds the wire; `controllers` only use `api`.

mod api;
mod auth;
mod controllers;
mod http;
mod kubeconfig;
mod merge;
mod schema;
mod server;
mod storage;
mod tls;
mod validate;

pub use server::{Options, Request, RequestGate, RequestObserver, Server, StartError};
pub use tls::TlsError;
