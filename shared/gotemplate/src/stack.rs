//! How much of the thread's stack is left, so that recursion ends in an error and never in a crash.
//!
//! Templates nest as deeply as their author likes: parentheses, includes, values. Counting calls says little, because
//! frames differ by build and by path; the address of a local variable says exactly how far the stack has grown.

use std::{cell::Cell, thread};

/// Kept free for what runs between two checks: a function's body, formatting, a drop.
const MARGIN: usize = 128 * 1024;
/// What is assumed of a thread that was not started here: Rust's threads have 2 MiB.
const UNKNOWN: usize = 768 * 1024;
/// Stack of [`with_large_stack`]. Address space, of which only the pages that are used cost memory.
const LARGE: usize = 256 * 1024 * 1024;

thread_local! {
    /// The lowest address that this thread's stack may grow down to; 0 when nothing is known yet.
    static FLOOR: Cell<usize> = const { Cell::new(0) };
}

/// Runs `work` on a thread with a stack for templates that nest very deeply, and waits for it.
///
/// Rendering works on any thread, but then gives up with [`crate::Stop::Depth`] earlier: after some hundred nested
/// includes instead of thousands. The values of a render belong to its thread, so they are made within `work`.
///
/// # Errors
/// The system cannot start a thread. A panic of `work` goes on in the caller.
pub fn with_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    thread::scope(|scope| {
        let handle = thread::Builder::new().name("templates".to_owned()).stack_size(LARGE).spawn_scoped(
            scope,
            || {
                FLOOR.set(here().saturating_sub(LARGE - MARGIN));
                work()
            },
        )?;
        match handle.join() {
            Ok(result) => Ok(result),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Whether one more level of recursion fits.
#[inline]
pub(crate) fn has_room() -> bool {
    let here = here();
    FLOOR.with(|floor| {
        if floor.get() == 0 {
            floor.set(here.saturating_sub(UNKNOWN).max(1));
        }
        here > floor.get()
    })
}

#[inline(never)]
fn here() -> usize {
    let local = 0u8;
    std::ptr::from_ref(std::hint::black_box(&local)).addr()
}
