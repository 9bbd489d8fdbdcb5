//! CEL in Flux's specs: `readyExpr` of dependencies and `healthCheckExprs` of objects, on kube-cel.
//!
//! Expressions are untrusted: their length is bounded, and a parser that panics is an error like any other.

mod expression;
mod health;

pub use expression::{CelError, Expression};
pub use health::health_rules;
