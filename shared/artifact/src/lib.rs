//! Artifacts, the contract between controllers: pack, digest, store, serve, fetch and unpack.
//!
//! A source becomes a `tar.gz` whose bytes depend on nothing but the files in it ([`pack`]), is named and checked by
//! its digest ([`Digest`]), lies in a [`Store`] that survives a crash at any point, is served over HTTP ([`serve`]),
//! downloaded with its digest checked ([`fetch`]) and unpacked by code that expects the archive to be hostile
//! ([`unpack`]). [`ignore`] decides which files of a source belong in it.
//!
//! Invariants: nothing here knows of Kubernetes; functions that touch the disk block (call them on a blocking pool),
//! only [`fetch`] and [`serve`] are async; memory stays constant whatever the size of an artifact.

pub mod digest;
pub mod fetch;
mod glob;
pub mod ignore;
pub mod pack;
pub mod path;
pub mod serve;
pub mod store;
pub mod unpack;
mod ustar;

pub use digest::{Algorithm, Digest, Hasher, HashingWriter};
pub use fetch::{FetchError, FetchOptions, Fetcher};
pub use ignore::Ignore;
pub use pack::{PackError, Packed, pack};
pub use path::secure_join;
pub use store::{Advertised, Location, Store, StoreError, StoreOptions, Stored};
pub use unpack::{Limits, Links, UnpackError, Unpacked, unpack};
