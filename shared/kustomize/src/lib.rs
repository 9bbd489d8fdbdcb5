//! kustomize build, natively: pure functions from files to objects.
