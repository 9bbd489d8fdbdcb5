//! The wire: connections, requests, negotiation, encodings, watch streams. The meaning of requests is in [`crate::api`].

mod accept;
mod discovery;
mod json;
mod negotiate;
mod openapi;
mod openapi_protobuf;
mod protobuf;
mod request;
mod resource;
mod response;
mod route;
mod view;
mod watch;

use std::sync::Arc;

pub(crate) use accept::Accept;

use crate::api::Api;
use crate::auth::Authenticator;
use crate::server::{RequestGate, RequestObserver};

/// What every request is served from.
pub(crate) struct Context {
    pub(crate) api: Arc<Api>,
    pub(crate) authenticator: Authenticator,
    /// Hears of every request before it is served.
    pub(crate) observer: Option<RequestObserver>,
    pub(crate) gate: Option<RequestGate>,
}
