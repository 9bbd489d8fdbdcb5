//! Exact decimal arithmetic: schemas compare numbers as they are written, not as floats.

use std::cmp::Ordering;

use serde_json::Number;

/// `±digits × 10^exponent`, without trailing zeros in `digits`.
///
/// A JSON number as `serde_json` keeps it has at most 20 digits, so the digits fit with room to spare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    digits: u128,
    exponent: i32,
}

impl Decimal {
    pub(super) fn new(number: &Number) -> Self {
        if let Some(integer) = number.as_u64() {
            return Self::normal(false, u128::from(integer), 0);
        }
        if let Some(integer) = number.as_i64() {
            return Self::normal(integer < 0, u128::from(integer.unsigned_abs()), 0);
        }
        // The shortest text that reads back as the same float: `-1.25e-3`.
        let text = format!("{:e}", number.as_f64().unwrap_or_default());
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let negative = mantissa.starts_with('-');
        let mantissa = mantissa.trim_start_matches('-');
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}").parse().unwrap_or_default();
        let exponent: i32 = exponent.parse().unwrap_or_default();
        Self::normal(negative, digits, exponent - i32::try_from(fraction.len()).unwrap_or_default())
    }

    fn normal(negative: bool, mut digits: u128, mut exponent: i32) -> Self {
        if digits == 0 {
            return Self { negative: false, digits: 0, exponent: 0 };
        }
        while digits.is_multiple_of(10) {
            digits /= 10;
            exponent += 1;
        }
        Self { negative, digits, exponent }
    }

    /// Whether there is nothing behind the point.
    pub(super) fn is_integer(self) -> bool {
        self.exponent >= 0
    }

    /// Whether this is an integer times `unit`; no number is a multiple of zero.
    pub(super) fn is_multiple_of(self, unit: Self) -> bool {
        if unit.digits == 0 {
            return false;
        }
        let shift = self.exponent - unit.exponent;
        if shift >= 0 {
            // digits × 10^shift mod unit.digits, by repeated squaring: both stay far below 2^64 × 2^64.
            let modulus = unit.digits;
            let mut power = 1 % modulus;
            let mut base = 10 % modulus;
            let mut rest = shift;
            while rest > 0 {
                if rest & 1 == 1 {
                    power = power * base % modulus;
                }
                base = base * base % modulus;
                rest >>= 1;
            }
            ((self.digits % modulus) * power).is_multiple_of(modulus)
        } else {
            let scale = 10_u128.checked_pow(shift.unsigned_abs());
            match scale.and_then(|scale| unit.digits.checked_mul(scale)) {
                Some(unit) => self.digits.is_multiple_of(unit),
                None => self.digits == 0,
            }
        }
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |value: &Self| match (value.digits, value.negative) {
            (0, _) => 0,
            (_, true) => -1,
            (_, false) => 1,
        };
        let signs = sign(self).cmp(&sign(other));
        if signs != Ordering::Equal || self.digits == 0 {
            return signs;
        }
        let length = |value: &Self| value.digits.ilog10() as i32 + 1;
        let magnitude =
            (length(self) + self.exponent).cmp(&(length(other) + other.exponent)).then_with(|| {
                let width = length(self).max(length(other));
                let widened =
                    |value: &Self| value.digits * 10_u128.pow((width - length(value)).unsigned_abs());
                widened(self).cmp(&widened(other))
            });
        if self.negative { magnitude.reverse() } else { magnitude }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::new(&serde_json::from_str(text).expect("a number"))
    }

    #[test]
    fn numbers_compare_by_value() {
        let ascending = [
            "-1e300",
            "-10",
            "-9.5",
            "-0.001",
            "0",
            "5e-324",
            "0.1",
            "0.30000000000000004",
            "1",
            "1.5",
            "9",
            "10",
            "18446744073709551615",
            "1e22",
        ];
        for (index, left) in ascending.iter().enumerate() {
            for (other, right) in ascending.iter().enumerate() {
                assert_eq!(decimal(left).cmp(&decimal(right)), index.cmp(&other), "{left} {right}");
            }
        }
        assert_eq!(decimal("1.0"), decimal("1"));
        assert_eq!(decimal("-0.0"), decimal("0"));
    }

    #[test]
    fn multiples_are_exact() {
        for (number, unit, want) in [
            ("0.3", "0.1", true),
            ("0.35", "0.1", false),
            ("3", "2", false),
            ("4", "2", true),
            ("1e300", "3", false),
            ("1e300", "1e299", true),
            ("1", "1e30", false),
            ("0", "7", true),
            ("7", "0", false),
            ("-6", "3", true),
            ("18446744073709551615", "5", true),
            ("18446744073709551610", "18446744073709551615", false),
        ] {
            assert_eq!(decimal(number).is_multiple_of(decimal(unit)), want, "{number} {unit}");
        }
    }

    #[test]
    fn integers_are_told_from_fractions() {
        for (text, want) in [("3", true), ("3.0", true), ("1e3", true), ("1e-3", false), ("2.5", false)] {
            assert_eq!(decimal(text).is_integer(), want, "{text}");
        }
    }
}
