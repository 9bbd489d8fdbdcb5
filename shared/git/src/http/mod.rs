//! HTTP for Git: one async client shared by all calls, driven from blocking code.

mod client;
mod exchange;

pub use client::{ClientKey, HttpClient, HttpOptions, Proxy};
pub(crate) use exchange::{Failure, GitHttp};
