//! Templates that are almost right: whatever is done to the text of a case, it is parsed and executed or refused.
//!
//! The mutations come from a fixed seed, so that a failure repeats. `fuzz/` has the same as targets for `cargo fuzz`.
#![expect(clippy::expect_used, reason = "a test that cannot read its cases has failed")]

use std::{fs, path::Path, sync::Arc};

use sluice_gotemplate::{Functions, Map, Options, Session, Set, Value, stack::with_large_stack};

/// Pieces that mean something to the lexer.
const PIECES: &[&str] = &[
    "{{",
    "}}",
    "{{-",
    "-}}",
    "/*",
    "*/",
    "(",
    ")",
    "|",
    ":=",
    "=",
    ",",
    ".",
    "$",
    "$x",
    "\"",
    "`",
    "'",
    "\\",
    "\n",
    " ",
    "nil",
    "true",
    "if",
    "else",
    "end",
    "range",
    "with",
    "define",
    "template",
    "block",
    "break",
    "continue",
    "\"d\"",
    "print",
    "printf",
    "\"%[3]*.[2]*[1]f\"",
    "index",
    "slice",
    "0x",
    "1e",
    "1i",
    "_",
    "é",
    "\u{0}",
];

/// A small generator of numbers (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (end.max(1) as u64)).unwrap_or(0)
    }
}

fn mutate(text: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut text = text.to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(text.len() + 1);
        let end = (at + numbers.below(6)).min(text.len());
        match numbers.below(4) {
            0 => drop(text.drain(at..end)),
            1 => drop(text.splice(at..end, [numbers.below(256) as u8])),
            2 => {
                let piece = PIECES[numbers.below(PIECES.len())];
                drop(text.splice(at..end, piece.bytes()));
            }
            _ => {
                let copy = text[at..end].to_vec();
                let to = numbers.below(text.len() + 1);
                drop(text.splice(to..to, copy));
            }
        }
    }
    text
}

#[test]
fn no_text_makes_the_engine_panic() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/engine");
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for entry in fs::read_dir(dir).expect("the cases are there") {
        let text = fs::read_to_string(entry.expect("an entry").path()).expect("a case file");
        let inputs = text.split("\n--- ").filter_map(|block| block.strip_prefix("in\n"));
        seeds.extend(inputs.map(|input| input.as_bytes().to_vec()));
    }
    seeds.sort();
    let outcomes = with_large_stack(|| {
        let functions = Arc::new(Functions::builtin());
        let mut numbers = Numbers(0x5EED);
        let (mut refused, mut failed, mut printed) = (0, 0, 0);
        for round in 0..20_000 {
            let text = mutate(&seeds[round % seeds.len()], &mut numbers);
            let mut set = Set::new("gotpl", functions.clone());
            if let Err(error) = set.parse("t", &text) {
                assert!(error.line >= 1 && !error.message.is_empty(), "{error:?}");
                refused += 1;
                continue;
            }
            let options = Options { max_steps: 100_000, max_output: 1 << 20, ..Options::default() };
            let root = Map::new();
            root.insert("Values", Value::Map(Map::new()));
            match set.execute(&Session::new(options, None), "t", &Value::Map(root)) {
                Ok(_) => printed += 1,
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    failed += 1;
                }
            }
        }
        [refused, failed, printed]
    })
    .expect("a thread");
    // All three must have been reached, or the mutations are too wild to test anything.
    assert!(outcomes.iter().all(|count| *count > 500), "{outcomes:?}");
}
