//! Durations: Sprig's `duration` and `durationRound`, Helm's `durationSeconds` and its kin, and `time.Duration`.

use std::any::Any;

use super::{
    cast::{parse_float, parse_plain, truncate},
    dates::{now, time_of},
    fail,
    gotime::duration::{self, HOUR, MINUTE, SECOND},
    strings::trim_space,
};
use crate::{
    Args, Context, Error, Function, Kind, NamedType, Object, Signature, Str, Type, Value, fmt::quoted,
};

/// `time.Duration`
pub(super) static DURATION: NamedType = NamedType { name: "time.Duration", kind: Kind::Int64 };

const ANY: &[Type] = &[Type::Any];
/// Whole seconds that fit a duration.
const MAX_SECONDS: i64 = i64::MAX / SECOND;

/// The functions of this family.
pub(super) fn functions() -> Vec<Function> {
    vec![
        Function::new("duration", ANY, |_, args| {
            let seconds = match args.any(0) {
                Value::String(text) => parse_plain(text, 10).unwrap_or(0),
                Value::Int64(seconds) => *seconds,
                _ => 0,
            };
            Ok(Value::from(duration::format(seconds.wrapping_mul(SECOND))))
        }),
        Function::new("durationRound", ANY, |_, args| {
            let nanos = match args.any(0) {
                Value::String(text) => duration::parse(text).unwrap_or(0),
                Value::Int64(nanos) => *nanos,
                other => time_of(other).map_or(0, |time| now().since(&time)),
            };
            Ok(Value::from(largest_unit(nanos.unsigned_abs())))
        }),
        Function::new("mustToDuration", ANY, |cx, args| Ok(Duration(read(cx, args.any(0))?).into())),
        float("durationSeconds", |nanos| with_fraction(nanos, SECOND)),
        float("durationMinutes", |nanos| with_fraction(nanos, MINUTE)),
        float("durationHours", |nanos| with_fraction(nanos, HOUR)),
        float("durationDays", |nanos| with_fraction(nanos, HOUR) / 24.0),
        float("durationWeeks", |nanos| with_fraction(nanos, HOUR) / 24.0 / 7.0),
        whole("durationMilliseconds", 1_000_000),
        whole("durationMicroseconds", 1_000),
        whole("durationNanoseconds", 1),
        to_multiple("durationRoundTo", duration::round),
        to_multiple("durationTruncateTo", duration::truncate),
    ]
}

fn float(name: &'static str, convert: fn(i64) -> f64) -> Function {
    Function::new(name, ANY, move |cx, args| Ok(Value::Float(read(cx, args.any(0)).map_or(0.0, convert))))
}

fn whole(name: &'static str, unit: i64) -> Function {
    Function::new(name, ANY, move |cx, args| {
        Ok(Value::Int64(read(cx, args.any(0)).map_or(0, |nanos| nanos / unit)))
    })
}

fn to_multiple(name: &'static str, convert: fn(i64, i64) -> i64) -> Function {
    Function::new(name, &[Type::Any, Type::Any], move |cx, args| {
        let Ok(nanos) = read(cx, args.any(0)) else { return Ok(Duration(0).into()) };
        let unit = read(cx, args.any(1));
        Ok(Duration(unit.map_or(nanos, |unit| convert(nanos, unit))).into())
    })
}

/// A duration in a unit, computed as Go does: the whole part and the rest apart.
#[expect(clippy::cast_precision_loss, reason = "as Go converts")]
fn with_fraction(nanos: i64, unit: i64) -> f64 {
    (nanos / unit) as f64 + (nanos % unit) as f64 / unit as f64
}

/// The duration in a text (`1h`, or a number of seconds), a number of seconds, or a duration.
fn read(cx: &Context<'_>, value: &Value) -> Result<i64, Error> {
    let overflow = |n: &dyn std::fmt::Display| fail(format!("duration seconds overflow: {n}"));
    match value {
        Value::Absent | Value::Nil => Err(fail("invalid duration")),
        Value::String(text) => {
            let trimmed = trim_space(text);
            if trimmed.is_empty() {
                return Err(fail("empty duration"));
            }
            if let Ok(nanos) = duration::parse(trimmed) {
                return Ok(nanos);
            }
            match parse_float(trimmed) {
                Some(seconds) => from_float(cx, seconds),
                None => Err(fail(format!("could not parse duration {}", quoted(text)))),
            }
        }
        Value::Int(n) | Value::Int64(n) => {
            if n.unsigned_abs() > MAX_SECONDS.unsigned_abs() {
                Err(overflow(n))
            } else {
                Ok(n * SECOND)
            }
        }
        Value::Uint8(n) => Ok(i64::from(*n) * SECOND),
        Value::Uint32(n) => Ok(i64::from(*n) * SECOND),
        Value::Uint64(n) => match i64::try_from(*n) {
            Ok(seconds) if seconds <= MAX_SECONDS => Ok(seconds * SECOND),
            _ => Err(overflow(n)),
        },
        Value::Float(seconds) => from_float(cx, *seconds),
        Value::Object(object) => match (object.as_any().downcast_ref::<Duration>(), object.underlying()) {
            (Some(duration), _) => Ok(duration.0),
            (None, Some(number @ Value::Int(_))) => read(cx, &number),
            _ => Err(unsupported(value)),
        },
        _ => Err(unsupported(value)),
    }
}

fn unsupported(value: &Value) -> Error {
    fail(format!("unsupported duration type {}", value.type_name()))
}

fn from_float(cx: &Context<'_>, seconds: f64) -> Result<i64, Error> {
    const LIMIT: f64 = 9_223_372_036.854_775;
    let failed = |what: &str, number: f64| match cx.text(&Value::Float(number)) {
        Ok(text) => fail(format!("{what}: {text}")),
        Err(stopped) => stopped,
    };
    if !seconds.is_finite() {
        return Err(failed("invalid duration seconds", seconds));
    }
    if seconds.abs() > LIMIT {
        return Err(failed("duration seconds overflow", seconds));
    }
    Ok(truncate(seconds * 1e9))
}

/// The largest unit that fits more than once, cut to whole numbers.
fn largest_unit(nanos: u64) -> String {
    let hour = HOUR.unsigned_abs();
    let units = [
        (hour * 24 * 365, "y"),
        (hour * 24 * 30, "mo"),
        (hour * 24, "d"),
        (hour, "h"),
        (MINUTE.unsigned_abs(), "m"),
        (SECOND.unsigned_abs(), "s"),
    ];
    match units.iter().find(|(size, _)| nanos > *size) {
        Some((size, unit)) => format!("{}{unit}", nanos / size),
        None => "0s".to_owned(),
    }
}

/// A `time.Duration`, in nanoseconds.
#[derive(Debug)]
pub(super) struct Duration(pub(super) i64);

impl Duration {
    /// The nanoseconds of a value of this type.
    pub(super) fn of(value: &Value) -> Option<i64> {
        match value {
            Value::Object(object) => object.as_any().downcast_ref::<Self>().map(|own| own.0),
            _ => None,
        }
    }
}

impl From<Duration> for Value {
    fn from(duration: Duration) -> Self {
        Value::object(duration)
    }
}

const NO_PARAMS: Signature = Signature::fixed(&[]);
const ONE_DURATION: &[Type] = &[Type::Named(&DURATION)];
const DURATION_PARAM: Signature = Signature::fixed(ONE_DURATION);

impl Object for Duration {
    fn go_type(&self) -> &'static NamedType {
        &DURATION
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn method(&self, name: &str) -> Option<&'static Signature> {
        Some(match name {
            "Hours" | "Minutes" | "Seconds" | "Milliseconds" | "Microseconds" | "Nanoseconds" | "String"
            | "Abs" => &NO_PARAMS,
            "Round" | "Truncate" => &DURATION_PARAM,
            _ => return None,
        })
    }

    fn call(&self, name: &str, _cx: &Context<'_>, args: &Args) -> Result<Value, Error> {
        let nanos = self.0;
        let unit = || Self::of(args.any(0)).ok_or_else(|| fail("expected time.Duration"));
        Ok(match name {
            "Hours" => Value::Float(with_fraction(nanos, HOUR)),
            "Minutes" => Value::Float(with_fraction(nanos, MINUTE)),
            "Seconds" => Value::Float(with_fraction(nanos, SECOND)),
            "Milliseconds" => Value::Int64(nanos / 1_000_000),
            "Microseconds" => Value::Int64(nanos / 1_000),
            "Nanoseconds" => Value::Int64(nanos),
            "String" => Value::from(duration::format(nanos)),
            "Abs" => Self(nanos.saturating_abs()).into(),
            "Round" => Self(duration::round(nanos, unit()?)).into(),
            "Truncate" => Self(duration::truncate(nanos, unit()?)).into(),
            _ => return Err(fail(format!("{name} is not a method of time.Duration"))),
        })
    }

    fn text(&self) -> Option<Str> {
        Some(duration::format(self.0).into())
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::Int64(self.0))
    }

    fn equals(&self, other: &dyn Object) -> Option<bool> {
        Some(other.as_any().downcast_ref::<Self>().is_some_and(|other| self.0 == other.0))
    }

    fn to_json(&self) -> Result<serde_json::Value, String> {
        Ok(self.0.into())
    }
}
