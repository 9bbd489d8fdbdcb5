//! What is a template prints or fails, within its limits.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sluice_gotemplate::{Functions, Map, Options, Session, Set, Value};

fuzz_target!(|text: &[u8]| {
    let mut set = Set::new("gotpl", Arc::new(Functions::builtin()));
    if set.parse("t", text).is_ok() {
        let options = Options { max_steps: 100_000, max_output: 1 << 20, ..Options::default() };
        let root = Map::new();
        root.insert("Values", Value::Map(Map::new()));
        let _ = set.execute(&Session::new(options, None), "t", &Value::Map(root));
    }
});
