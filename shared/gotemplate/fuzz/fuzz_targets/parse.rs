//! Any bytes are a template or a parse error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_gotemplate::{Functions, Parsed};

fuzz_target!(|text: &[u8]| {
    if let Err(error) = Parsed::parse("t", text, &Functions::builtin()) {
        assert!(error.line >= 1 && !error.message.is_empty());
    }
});
