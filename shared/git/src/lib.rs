//! Git over HTTP, on gix: list a remote's refs, fetch one commit into a bare mirror, write its tree to a directory.
//!
//! A [`Remote`] is a repository somewhere else: an address, credentials and an [`HttpClient`]. [`Remote::resolve`] asks it which
//! commit a [`Reference`] names (one small request, no objects). A [`Mirror`] is a bare repository on disk that keeps
//! the shallow commits fetched so far, so that the next commit costs a delta; [`Mirror::checkout`] fetches what is missing and
//! writes the tree. [`Mirrors`] keeps a bounded number of them.
//!
//! All calls block; run them on a thread where that is allowed (`tokio::task::spawn_blocking`). The network work runs on the tokio
//! runtime that the [`HttpClient`] was made on, and every call takes a [`Limit`]: a deadline and a way to cancel.
//!
//! # What it does not do
//! SSH, push, signatures, LFS, SHA-256 repositories, filters and `export-ignore`. A session is built on any
//! `gix` transport, so SSH is one more way to open one.
//!
//! # Invariants
//! - No error, log line or `Debug` text holds a credential.
//! - Credentials go to the scheme, host and port they were given for, and nowhere else: not after a redirect, not to a submodule.
//! - A checkout never writes through a symbolic link, nor outside its directory.

mod auth;
mod checkout;
mod error;
mod fetch;
mod http;
mod limit;
mod mirror;
mod mirrors;
mod refs;
mod remote;
#[cfg(feature = "serve")]
pub mod serve;
mod session;
mod submodule;
#[cfg(feature = "testing")]
pub mod testing;
mod url;
pub mod version;

pub use auth::{Auth, Secret};
pub use checkout::{Checkout, CheckoutOptions};
pub use error::{Error, Result};
pub use gix::ObjectId;
pub use http::{ClientKey, HttpClient, HttpOptions, Proxy};
pub use limit::Limit;
pub use mirror::{Commit, Mirror};
pub use mirrors::{Lease, Mirrors};
pub use refs::{Reference, RemoteRef, Resolved};
pub use remote::Remote;
pub use url::SafeUrl;
