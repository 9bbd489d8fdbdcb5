//! Packs a chart into a reproducible archive.
