//! What the server makes of an object before it stores it: decoding, defaults, pruning, validation.
//!
//! Pure functions over values. The order of a write is: [`decode`] (types, unknown fields, defaults), then the kind's
//! own defaults (elsewhere), then [`object`] and for custom kinds [`custom`]; definitions of custom kinds also go
//! through [`crd`].

mod custom;
mod decode;
mod error;
mod meta;
mod names;
mod quantity;

pub(crate) use custom::custom;
pub(crate) use decode::decode;
pub(crate) use error::FieldError;
pub(crate) use meta::metadata;
pub(crate) use names::{config_key, is_dns_subdomain, label, label_1035, subdomain};
