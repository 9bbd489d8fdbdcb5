//! Turns Git repositories and OCI artifacts into verified artifacts.
