//! Decimal arithmetic of any size: `addf 0.1 0.2` is 0.3, as in Sprig (which uses shopspring/decimal).

use num_bigint::{BigInt, Sign};

use super::fail;
use crate::Error;

/// Digits after the point of a quotient.
const DIVISION_DIGITS: i64 = 16;

/// `digits · 10^exponent`.
#[derive(Debug, Clone)]
pub(super) struct Decimal {
    digits: BigInt,
    exponent: i64,
}

impl Decimal {
    /// The shortest decimal that reads as this float.
    pub(super) fn from_float(x: f64) -> Result<Self, Error> {
        if !x.is_finite() {
            let text = if x.is_nan() {
                "NaN"
            } else if x > 0.0 {
                "+Inf"
            } else {
                "-Inf"
            };
            return Err(fail(format!("Cannot create a Decimal from {text}")));
        }
        let text = format!("{x:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}").parse().unwrap_or_default();
        let places = i64::try_from(fraction.len()).unwrap_or(0);
        Ok(Self { digits, exponent: exponent.parse::<i64>().unwrap_or(0) - places })
    }

    /// The nearest float.
    pub(super) fn to_float(&self) -> f64 {
        format!("{}e{}", self.digits, self.exponent).parse().unwrap_or(f64::NAN)
    }

    pub(super) fn add(&self, other: &Self) -> Self {
        let exponent = self.exponent.min(other.exponent);
        Self { digits: self.digits_at(exponent) + other.digits_at(exponent), exponent }
    }

    pub(super) fn subtract(&self, other: &Self) -> Self {
        self.add(&Self { digits: -other.digits.clone(), exponent: other.exponent })
    }

    pub(super) fn multiply(&self, other: &Self) -> Self {
        Self { digits: &self.digits * &other.digits, exponent: self.exponent + other.exponent }
    }

    /// The quotient to 16 digits after the point, halves away from zero.
    pub(super) fn divide(&self, other: &Self) -> Result<Self, Error> {
        if other.digits.sign() == Sign::NoSign {
            return Err(fail("decimal division by 0"));
        }
        let shift = self.exponent - other.exponent + DIVISION_DIGITS;
        let dividend = &self.digits * power_of_ten(shift);
        let divisor = &other.digits * power_of_ten(-shift);
        let (quotient, rest) = (&dividend / &divisor, &dividend % &divisor);
        let up = (rest.magnitude() << 1_u8) >= *divisor.magnitude();
        let negative = (dividend.sign() == Sign::Minus) != (divisor.sign() == Sign::Minus);
        let digits = match (up, negative) {
            (false, _) => quotient,
            (true, false) => quotient + 1,
            (true, true) => quotient - 1,
        };
        Ok(Self { digits, exponent: -DIVISION_DIGITS })
    }

    fn digits_at(&self, exponent: i64) -> BigInt {
        &self.digits * power_of_ten(self.exponent - exponent)
    }
}

/// 10^exponent; 1 for negative exponents.
fn power_of_ten(exponent: i64) -> BigInt {
    BigInt::from(10).pow(u32::try_from(exponent).unwrap_or(0))
}
