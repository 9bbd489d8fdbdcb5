//! What every controller binary shares: flags, logs, health, metrics, leader election, events, status.
