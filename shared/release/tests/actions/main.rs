//! Actions against the embedded API server: what they do to objects, what they store, what they say.

mod install;
mod world;
