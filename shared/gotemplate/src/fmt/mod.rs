//! Go's `fmt` over template values.

use crate::{Error, Value};

/// Appends `fmt.Sprint` of the values.
pub(crate) fn print(_out: &mut Vec<u8>, _values: &[Value], _max: usize) -> Result<(), Error> {
    Ok(())
}

/// Appends `fmt.Sprintf` of the values.
pub(crate) fn printf(_out: &mut Vec<u8>, _format: &[u8], _values: &[Value], _max: usize) -> Result<(), Error> {
    Ok(())
}

/// A text as Go's `%q` prints it.
pub fn quoted(text: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(text))
}
