//! Artifacts, the contract between controllers: pack, digest, store, serve, fetch and unpack.
