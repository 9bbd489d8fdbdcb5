//! Go's own functions.

use crate::Function;

pub(crate) fn functions() -> Vec<Function> {
    Vec::new()
}
