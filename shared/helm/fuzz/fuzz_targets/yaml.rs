#![no_main]

// Not libFuzzer's hook, which ends the process: panics of the YAML scanner are caught where they are known to happen.
// All others end it all the same.
libfuzzer_sys::fuzz_target!(
    init: drop(std::panic::take_hook()),
    |data: &[u8]| {
        sluice_helm_fuzz::yaml(data);
    }
);
