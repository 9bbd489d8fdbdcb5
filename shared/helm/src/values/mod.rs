//! Values: what the user gives, and how it is laid over the charts' defaults.
