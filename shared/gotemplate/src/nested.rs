//! `include` and `tpl`: functions that execute templates.

use crate::{Context, Error, Str, Value};

pub(crate) fn include(_cx: &Context<'_>, _name: &Str, _data: &Value) -> Result<Str, Error> {
    Err(Error::message("not yet"))
}

pub(crate) fn tpl(_cx: &Context<'_>, _text: &Str, _data: &Value) -> Result<Str, Error> {
    Err(Error::message("not yet"))
}
