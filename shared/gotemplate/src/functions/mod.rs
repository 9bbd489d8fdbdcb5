//! The functions of Sprig and Helm.
