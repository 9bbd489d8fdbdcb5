//! The order in which Go's YAML writers print the keys of a map.

use std::cmp::Ordering;

/// Sorts by keys, in [`natural_order`].
///
/// That order runs in circles where digits and letters mix (`a10` before `a1b` before `a9` before `a10`), which Rust's own
/// sorting answers with a panic; Go's gives any of the orders. Here the result depends on the keys alone.
pub(crate) fn sort<T>(items: Vec<(&str, T)>, numbers: Numbers) -> Vec<(&str, T)> {
    let mut items = items;
    if items.iter().any(|(key, _)| key.bytes().any(|b| b.is_ascii_digit())) {
        items.sort_by_key(|(key, _)| *key);
        merge_sort(items, numbers)
    } else {
        items.sort_by(|(a, _), (b, _)| natural_order(a, b));
        items
    }
}

fn merge_sort<T>(mut items: Vec<(&str, T)>, numbers: Numbers) -> Vec<(&str, T)> {
    if items.len() < 2 {
        return items;
    }
    let right = merge_sort(items.split_off(items.len() / 2), numbers);
    let left = merge_sort(items, numbers);
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some((a, _)), Some((b, _))) = (left.peek(), right.peek()) {
        let next = if order(a, b, numbers).is_gt() { right.next() } else { left.next() };
        merged.extend(next);
    }
    merged.extend(left);
    merged.extend(right);
    merged
}

/// Compares two keys as Go's YAML writers do: `_x, "1", A, a-b, a2, a10, ab`.
///
/// Rune by rune; at the first difference letters come after everything else, and runs of digits compare as numbers.
#[must_use]
pub fn natural_order(a: &str, b: &str) -> Ordering {
    order(a, b, Numbers::BeforeLetters)
}

/// What comes first where, after equal digits, one key goes on with a letter and the other with a digit or mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// The letter last, as everywhere: `11`, `1b`. The older of Go's two YAML packages.
    BeforeLetters,
    /// The letter first, since there the number ends: `1b`, `11`. The newer one.
    AfterLetters,
}

fn order(a: &str, b: &str, numbers: Numbers) -> Ordering {
    // The common case: both differ first in plain letters.
    let (a_bytes, b_bytes) = (a.as_bytes(), b.as_bytes());
    let same = a_bytes.iter().zip(b_bytes).take_while(|(x, y)| x == y).count();
    match (a_bytes.get(same), b_bytes.get(same)) {
        (None, None) => return Ordering::Equal,
        (None, _) => return Ordering::Less,
        (_, None) => return Ordering::Greater,
        (Some(x), Some(y)) if x.is_ascii_alphabetic() && y.is_ascii_alphabetic() => return x.cmp(y),
        _ => {}
    }
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let Some(at) = a.iter().zip(&b).position(|(x, y)| x != y) else { return a.len().cmp(&b.len()) };
    let (x, y) = (a[at], b[at]);
    let in_number = at > 0 && a[at - 1].is_ascii_digit() && numbers == Numbers::AfterLetters;
    match (x.is_alphabetic(), y.is_alphabetic()) {
        (true, true) => return x.cmp(&y),
        (true, false) if in_number => return Ordering::Less,
        (false, true) if in_number => return Ordering::Greater,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    // `a10` and `a2` differ at the second digit of a number only if what stands before is part of it.
    let mut start = 0;
    if x == '0' || y == '0' {
        let before = a[..at].iter().rev().take_while(|c| c.is_ascii_digit());
        start = i64::from(before.into_iter().any(|c| *c != '0'));
    }
    let run = |s: &[char]| {
        let digits = s[at..].iter().map_while(|c| c.to_digit(10));
        digits.fold((start, 0), |(n, len), d| (n.wrapping_mul(10).wrapping_add(i64::from(d)), len + 1))
    };
    run(&a).cmp(&run(&b)).then(x.cmp(&y))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_have_no_order_are_sorted_all_the_same() {
        let keys: Vec<String> =
            (0..400).flat_map(|n| [format!("a{n}"), format!("a{n}b"), format!("a0{n}")]).collect();
        let sorted = sort(keys.iter().map(|key| (key.as_str(), ())).collect(), Numbers::BeforeLetters);
        assert_eq!(sorted.len(), keys.len());
        let backwards =
            sort(keys.iter().rev().map(|key| (key.as_str(), ())).collect(), Numbers::BeforeLetters);
        assert_eq!(sorted, backwards);
        let pretty = sort(vec![("11", ()), ("1b", ()), ("1-", ())], Numbers::AfterLetters);
        assert_eq!(pretty.iter().map(|(key, ())| *key).collect::<Vec<_>>(), ["1b", "1-", "11"]);
    }
}
