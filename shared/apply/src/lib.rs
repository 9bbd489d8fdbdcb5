//! Server-side apply, inventory, prune, readiness and wait.
