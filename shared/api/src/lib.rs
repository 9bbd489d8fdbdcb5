//! Flux's custom resources as Rust types, and the CRD manifests generated from them.
