//! Says which half of the whole-system tests `cargo test` has run, and how to run the other.

fn main() {
    let half = match cfg!(feature = "real-cluster") {
        true => "whole-system tests: both API servers, embedded and real",
        false => {
            "whole-system tests: embedded API server only; the real one too: \
             tests/controlplane/build && cargo test -p sluice-tests --features real-cluster"
        }
    };
    // Also when asked for a list of tests: there is none here.
    #[expect(clippy::print_stdout, reason = "this is all that it is for")]
    {
        println!("{half}");
    }
}
