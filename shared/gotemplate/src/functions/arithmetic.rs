//! Numbers: casts, integer and decimal arithmetic, rounding, sequences.

use super::{
    cast::{parse_plain, to_float64, to_int64},
    decimal::Decimal,
    fail,
};
use crate::{Args, Context, Error, Function, List, Type, Value};

const ANY: &[Type] = &[Type::Any];
const ANY_ANY: &[Type] = &[Type::Any, Type::Any];

/// The functions of this family.
pub(super) fn functions() -> Vec<Function> {
    let max = Function::variadic("max", ANY_ANY, |_, args| Ok(Value::Int64(extreme(args, i64::max))));
    vec![
        Function::new("int", ANY, |_, args| Ok(Value::Int(to_int64(args.any(0))))),
        Function::new("int64", ANY, |_, args| Ok(Value::Int64(to_int64(args.any(0))))),
        Function::new("float64", ANY, |_, args| Ok(Value::Float(to_float64(args.any(0))))),
        Function::new("atoi", &[Type::String], |_, args| {
            Ok(Value::Int(parse_plain(args.string(0)?, 10).unwrap_or_else(|| overflow(args))))
        }),
        Function::new("toDecimal", ANY, |cx, args| {
            let text = cx.sprint(&args.all()[..1])?;
            Ok(Value::Int64(parse_plain(&text, 8).unwrap_or(0)))
        }),
        Function::variadic("add", ANY, |_, args| {
            Ok(Value::Int64(args.all().iter().fold(0, |sum, v| i64::wrapping_add(sum, to_int64(v)))))
        }),
        Function::new("add1", ANY, |_, args| Ok(Value::Int64(to_int64(args.any(0)).wrapping_add(1)))),
        Function::new("sub", ANY_ANY, |_, args| {
            Ok(Value::Int64(to_int64(args.any(0)).wrapping_sub(to_int64(args.any(1)))))
        }),
        Function::new("div", ANY_ANY, |_, args| Ok(Value::Int64(divide(args, i64::wrapping_div)?))),
        Function::new("mod", ANY_ANY, |_, args| Ok(Value::Int64(divide(args, i64::wrapping_rem)?))),
        Function::variadic("mul", ANY_ANY, |_, args| {
            let factors = args.all().iter().map(to_int64);
            Ok(Value::Int64(factors.fold(1, i64::wrapping_mul)))
        }),
        max.alias("biggest"),
        max,
        Function::variadic("min", ANY_ANY, |_, args| Ok(Value::Int64(extreme(args, i64::min)))),
        Function::variadic("maxf", ANY_ANY, |_, args| Ok(Value::Float(extreme_float(args, true)))),
        Function::variadic("minf", ANY_ANY, |_, args| Ok(Value::Float(extreme_float(args, false)))),
        Function::new("add1f", ANY, |cx, args| {
            decimal(cx, args.all(), |x, _| Ok(x.clone()))?.add(&Decimal::from_float(1.0)?).value()
        }),
        Function::variadic("addf", ANY, |cx, args| decimal(cx, args.all(), |x, y| Ok(x.add(y)))?.value()),
        Function::variadic("subf", ANY_ANY, |cx, args| {
            decimal(cx, args.all(), |x, y| Ok(x.subtract(y)))?.value()
        }),
        Function::variadic("mulf", ANY_ANY, |cx, args| {
            decimal(cx, args.all(), |x, y| Ok(x.multiply(y)))?.value()
        }),
        Function::variadic("divf", ANY_ANY, |cx, args| decimal(cx, args.all(), Decimal::divide)?.value()),
        Function::new("ceil", ANY, |_, args| Ok(Value::Float(to_float64(args.any(0)).ceil()))),
        Function::new("floor", ANY, |_, args| Ok(Value::Float(to_float64(args.any(0)).floor()))),
        Function::variadic("round", &[Type::Any, Type::Int, Type::Float64], |_, args| {
            let threshold = if args.len() > 2 { args.float(2)? } else { 0.5 };
            Ok(Value::Float(round(to_float64(args.any(0)), args.int(1)?, threshold)))
        }),
        Function::new("until", &[Type::Int], |cx, args| {
            let stop = args.int(0)?;
            ints(steps(cx, 0, stop, if stop < 0 { -1 } else { 1 })?)
        }),
        Function::new("untilStep", &[Type::Int, Type::Int, Type::Int], |cx, args| {
            ints(steps(cx, args.int(0)?, args.int(1)?, args.int(2)?)?)
        }),
        Function::variadic("seq", &[Type::Int], seq),
    ]
}

impl Decimal {
    fn value(&self) -> Result<Value, Error> {
        Ok(Value::Float(self.to_float()))
    }
}

/// What Go's `Atoi` returns beside its error: the nearest limit if the number is too large, else 0.
fn overflow(args: &Args) -> i64 {
    let Ok(text) = args.string(0) else { return 0 };
    let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    if text.starts_with(b"-") { i64::MIN } else { i64::MAX }
}

fn extreme(args: &Args, choose: fn(i64, i64) -> i64) -> i64 {
    args.all().iter().map(to_int64).reduce(choose).unwrap_or(0)
}

/// The largest or smallest number; NaN if one is.
fn extreme_float(args: &Args, largest: bool) -> f64 {
    let choose = |a: f64, b: f64| {
        if a.is_nan() || b.is_nan() {
            // An infinity of the wanted sign wins over NaN in Go.
            let limit = if largest { f64::INFINITY } else { f64::NEG_INFINITY };
            if a == limit || b == limit { limit } else { f64::NAN }
        } else if (a > b) == largest {
            a
        } else {
            b
        }
    };
    args.all().iter().map(to_float64).reduce(choose).unwrap_or(0.0)
}

fn divide(args: &Args, operation: fn(i64, i64) -> i64) -> Result<i64, Error> {
    match to_int64(args.any(1)) {
        0 => Err(fail("runtime error: integer divide by zero")),
        divisor => Ok(operation(to_int64(args.any(0)), divisor)),
    }
}

fn decimal(
    cx: &Context<'_>,
    values: &[Value],
    operation: impl Fn(&Decimal, &Decimal) -> Result<Decimal, Error>,
) -> Result<Decimal, Error> {
    let mut numbers = values.iter().map(|value| Decimal::from_float(to_float64(value)));
    let mut result = numbers.next().unwrap_or_else(|| Decimal::from_float(0.0))?;
    for number in numbers {
        cx.step()?;
        result = operation(&result, &number?)?;
    }
    Ok(result)
}

/// Rounds to a number of decimal places: up from `threshold` on, else down (also below zero).
fn round(x: f64, places: i64, threshold: f64) -> f64 {
    let power = power_of_ten(places);
    let scaled = power * x;
    let rounded = if scaled.fract() >= threshold { scaled.ceil() } else { scaled.floor() };
    rounded / power
}

/// 10 to an integer power by repeated squaring, as Go computes it.
fn power_of_ten(exponent: i64) -> f64 {
    let (mut power, mut square, mut left) = (1.0_f64, 10.0_f64, exponent.unsigned_abs());
    while left > 0 && power.is_finite() {
        if left & 1 == 1 {
            power *= square;
        }
        square *= square;
        left >>= 1;
    }
    if exponent < 0 { 1.0 / power } else { power }
}

/// `start`, `start + step`, … before `stop`; nothing if the step leads away from it.
fn steps(cx: &Context<'_>, start: i64, stop: i64, step: i64) -> Result<impl Iterator<Item = i64>, Error> {
    let distance = i128::from(stop) - i128::from(start);
    let leads_there = (step > 0 && distance > 0) || (step < 0 && distance < 0);
    let count =
        if leads_there { (distance.unsigned_abs() - 1) / u128::from(step.unsigned_abs()) + 1 } else { 0 };
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    cx.check_items(count)?;
    Ok((0..count).scan(start, move |next, _| {
        let value = *next;
        *next = next.saturating_add(step);
        Some(value)
    }))
}

fn ints(numbers: impl Iterator<Item = i64>) -> Result<Value, Error> {
    Ok(Value::List(List::typed(Type::Int, numbers.map(Value::Int).collect())))
}

/// The numbers of the shell command: `END`, `START END` or `START STEP END`, ends included.
fn seq(cx: &Context<'_>, args: &Args) -> Result<Value, Error> {
    let numbers: Vec<i64> = (0..args.len().min(4)).map(|i| args.int(i)).collect::<Result<_, _>>()?;
    let (start, step, end) = match numbers[..] {
        [end] => (1, None, end),
        [start, end] => (start, None, end),
        [start, step, end] => (start, Some(step), end),
        _ => return Ok(Value::from("")),
    };
    let down = end < start;
    if down && step.is_some_and(|step| step > 0) {
        return Ok(Value::from(""));
    }
    let direction = if down { -1 } else { 1 };
    let mut text = String::new();
    for number in steps(cx, start, end.saturating_add(direction), step.unwrap_or(direction))? {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&number.to_string());
    }
    cx.charge(text.len())?;
    Ok(Value::from(text))
}
