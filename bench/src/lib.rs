//! Benchmarks of the engines and of whole systems.
