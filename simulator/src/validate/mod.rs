//! What the server makes of an object before it stores it: decoding, defaults, pruning, validation.
//!
//! Pure functions over values. The order of a write is: [`decode`] (types, unknown fields, defaults), then the kind's
//! own defaults and rules (`api::strategy`), then [`metadata`] and for custom kinds [`custom`].

mod custom;
mod decode;
mod error;
mod meta;
mod names;
mod pods;
mod quantity;
mod rules;
mod secrets;
mod workloads;

pub(crate) use custom::custom;
pub(crate) use decode::decode;
pub(crate) use error::FieldError;
pub(crate) use meta::{finalizers, metadata};
pub(crate) use names::{config_key, is_dns_subdomain, label, subdomain};
pub(crate) use pods::spec as pod;
pub(crate) use secrets::secret;
pub(crate) use workloads::{lease, service, workload};
