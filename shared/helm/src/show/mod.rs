//! The parts of a chart that `helm show` prints.
