//! Work on many independent items, on all processors where it is enough to be worth a thread.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Bytes of work for which one more thread is started: about a millisecond.
const SHARE: usize = 128 << 10;

/// Threads, however much there is to do: other work of the process needs processors, too.
const THREADS: usize = 4;

/// What `work` makes of each item, in the order of the items. `size` is the size of an item in bytes.
pub(crate) fn map<T: Sync, R: Send>(
    items: &[T],
    size: impl Fn(&T) -> usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let shares = items.iter().map(size).sum::<usize>() / SHARE;
    let processors = || thread::available_parallelism().map_or(1, NonZero::get);
    let threads = if shares < 2 { 1 } else { shares.min(THREADS).min(processors()) };
    if threads < 2 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let take = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return done };
            done.push((index, work(item)));
        }
    };
    let mut done = thread::scope(|scope| {
        // Where a thread cannot be started, this one does its share.
        let others: Vec<_> =
            (1..threads).filter_map(|_| thread::Builder::new().spawn_scoped(scope, take).ok()).collect();
        let mut done = take();
        for other in others {
            match other.join() {
                Ok(more) => done.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_whatever_the_number_of_threads() {
        let items: Vec<usize> = (0..1000).collect();
        for size in [0, 1 << 10, 1 << 20] {
            let doubled = map(&items, |_| size, |item| item * 2);
            assert_eq!(doubled, items.iter().map(|item| item * 2).collect::<Vec<_>>(), "{size}");
        }
        assert!(map(&[] as &[usize], |_| 1, |item| *item).is_empty());
    }
}
