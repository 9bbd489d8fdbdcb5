//! Splits rendered files into manifests and hooks, and puts them in order.
