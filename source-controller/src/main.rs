//! The `source-controller` binary.

fn main() {}
