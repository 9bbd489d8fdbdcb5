//! What the server makes of an object before it stores it: decoding, defaults, pruning, validation.
//!
//! Pure functions over values. The order of a write is: [`decode`] (types, unknown fields, defaults), then the kind's
//! own defaults and rules (`api::strategy`), then [`metadata`] and for custom kinds [`custom`].

mod autoscaling;
mod batch;
mod config;
mod cron;
mod custom;
mod decode;
mod definitions;
mod difference;
mod error;
mod events;
mod internal;
mod kinds;
mod meta;
mod names;
mod networking;
mod pods;
mod quantity;
mod quotas;
mod rbac;
mod rules;
mod services;
mod storage;
mod structural;
mod warnings;
mod webhooks;
mod workloads;

pub(crate) use autoscaling::default_rules as default_scaling_rules;
pub(crate) use batch::LABELS as JOB_LABELS;
pub(crate) use cron::Schedule;
pub(crate) use custom::custom;
pub(crate) use decode::decode;
pub(crate) use error::FieldError;
pub(crate) use kinds::{builtin, builtin_status};
pub(crate) use meta::{finalizers, go_strings, identity, metadata};
pub(crate) use names::{is_dns_subdomain, label, subdomain};
pub(crate) use networking::policy_types as default_policy_types;
pub(crate) use services::{is_external, needs_health_port};
pub(crate) use warnings::warnings;
