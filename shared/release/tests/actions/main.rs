//! Actions against the embedded API server: what they do to objects, what they store, what they say.

mod drift;
mod hooks;
mod install;
mod upgrade;
mod world;
