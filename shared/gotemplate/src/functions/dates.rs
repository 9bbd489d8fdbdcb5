//! Times: `now`, `date` and their kin, and the `time.Time` that templates see.

use std::any::Any;

use jiff::Timestamp;

use super::{
    Settings,
    durations::{DURATION, Duration},
    fail,
    gotime::{self, Time, Zone, duration},
};
use crate::{Args, Context, Error, Function, Kind, NamedType, Object, Signature, Str, Type, Value};

/// `time.Time`
pub(super) static TIME: NamedType = NamedType { name: "time.Time", kind: Kind::Struct };
static MONTH: NamedType = NamedType { name: "time.Month", kind: Kind::Int };
static WEEKDAY: NamedType = NamedType { name: "time.Weekday", kind: Kind::Int };

const STRING_ANY: &[Type] = &[Type::String, Type::Any];
const STRING_TIME: &[Type] = &[Type::String, Type::Named(&TIME)];
const ONE_TIME: &[Type] = &[Type::Named(&TIME)];
const ONE_DURATION: &[Type] = &[Type::Named(&DURATION)];
const HTML_DATE: &[u8] = b"2006-01-02";

/// The functions of this family.
pub(super) fn functions(settings: &Settings) -> Vec<Function> {
    let local = || settings.local.clone();
    let (zone, html_zone, date_zone, must_zone) = (local(), local(), local(), local());
    let (in_zone_local, html_local) = (local(), local());
    let in_zone = Function::new("dateInZone", &[Type::String, Type::Any, Type::String], move |_, args| {
        Ok(formatted(args.string(0)?, args.any(1), &zone_named(args.string(2)?, &in_zone_local)))
    });
    let modify = Function::new("dateModify", STRING_TIME, |_, args| {
        let time = time_of(args.any(1)).ok_or_else(|| fail("expected time.Time"))?;
        let nanos = duration::parse(args.string(0)?).unwrap_or(0);
        Ok(time.plus(nanos).unwrap_or(time).into())
    });
    let must_modify = Function::new("mustDateModify", STRING_TIME, |_, args| {
        let time = time_of(args.any(1)).ok_or_else(|| fail("expected time.Time"))?;
        let nanos = duration::parse(args.string(0)?).map_err(fail)?;
        Ok(time.plus(nanos).unwrap_or(time).into())
    });
    let now_zone = local();
    vec![
        Function::new("now", &[], move |_, _| Ok(now().in_zone(now_zone.clone()).into())),
        Function::new("date", STRING_ANY, move |_, args| Ok(formatted(args.string(0)?, args.any(1), &zone))),
        Function::new("htmlDate", &[Type::Any], move |_, args| {
            Ok(formatted(HTML_DATE, args.any(0), &html_zone))
        }),
        Function::new("htmlDateInZone", &[Type::Any, Type::String], move |_, args| {
            Ok(formatted(HTML_DATE, args.any(0), &zone_named(args.string(1)?, &html_local)))
        }),
        in_zone.alias("date_in_zone"),
        in_zone,
        modify.alias("date_modify"),
        modify,
        must_modify.alias("must_date_modify"),
        must_modify,
        Function::new("toDate", &[Type::String, Type::String], move |_, args| {
            let time = gotime::parse(args.string(0)?, args.string(1)?, &date_zone);
            Ok(time.unwrap_or_else(|_| Time::zero()).into())
        }),
        Function::new("mustToDate", &[Type::String, Type::String], move |_, args| {
            Ok(gotime::parse(args.string(0)?, args.string(1)?, &must_zone).map_err(fail)?.into())
        }),
        Function::new("unixEpoch", ONE_TIME, |_, args| {
            let time = time_of(args.any(0)).ok_or_else(|| fail("expected time.Time"))?;
            Ok(Value::from(time.seconds.to_string()))
        }),
        Function::new("ago", &[Type::Any], |_, args| {
            let time = match args.any(0) {
                Value::Int(seconds) | Value::Int64(seconds) => unix(*seconds),
                other => time_of(other).unwrap_or_else(now),
            };
            let age = duration::round(now().since(&time), duration::SECOND);
            Ok(Value::from(duration::format(age)))
        }),
    ]
}

/// The present, in UTC.
pub(super) fn now() -> Time {
    let now = Timestamp::now().as_nanosecond();
    let seconds = i64::try_from(now.div_euclid(1_000_000_000)).unwrap_or(0);
    let nanos = u32::try_from(now.rem_euclid(1_000_000_000)).unwrap_or(0);
    Time { seconds, nanos, zone: Zone::Utc }
}

fn unix(seconds: i64) -> Time {
    Time { seconds, nanos: 0, zone: Zone::Utc }
}

/// The time in a value of type `time.Time`.
pub(super) fn time_of(value: &Value) -> Option<Time> {
    match value {
        Value::Object(object) => object.as_any().downcast_ref::<TimeObject>().map(|object| object.0.clone()),
        _ => None,
    }
}

/// What a date function takes for a time; whatever is none means now.
fn formatted(layout: &[u8], value: &Value, zone: &Zone) -> Value {
    let time = match value {
        Value::Int(seconds) | Value::Int64(seconds) => unix(*seconds),
        other => time_of(other).unwrap_or_else(now),
    };
    Value::string(time.in_zone(zone.clone()).format(layout))
}

/// A zone by name, `Local` included. Unknown ones are UTC, as in Sprig.
fn zone_named(name: &Str, local: &Zone) -> Zone {
    if *name == "Local" { local.clone() } else { Zone::named(&name.to_str()).unwrap_or(Zone::Utc) }
}

/// The number of a month or weekday, which count as numbers where durations do not.
pub(super) fn named_number(object: &dyn Object) -> Option<i64> {
    object.as_any().downcast_ref::<Named>().map(|named| named.number)
}

impl From<Time> for Value {
    fn from(time: Time) -> Self {
        Value::object(TimeObject(time))
    }
}

/// A `time.Time`.
#[derive(Debug)]
struct TimeObject(Time);

const NO_PARAMS: Signature = Signature::fixed(&[]);
const TIME_PARAM: Signature = Signature::fixed(ONE_TIME);
const DURATION_PARAM: Signature = Signature::fixed(ONE_DURATION);

static METHODS: &[(&str, Signature)] = &[
    ("Add", DURATION_PARAM),
    ("AddDate", Signature::fixed(&[Type::Int, Type::Int, Type::Int])),
    ("After", TIME_PARAM),
    ("Before", TIME_PARAM),
    ("Compare", TIME_PARAM),
    ("Day", NO_PARAMS),
    ("Equal", TIME_PARAM),
    ("Format", Signature::fixed(&[Type::String])),
    ("Hour", NO_PARAMS),
    ("IsZero", NO_PARAMS),
    ("Local", NO_PARAMS),
    ("Minute", NO_PARAMS),
    ("Month", NO_PARAMS),
    ("Nanosecond", NO_PARAMS),
    ("Round", DURATION_PARAM),
    ("Second", NO_PARAMS),
    ("String", NO_PARAMS),
    ("Sub", TIME_PARAM),
    ("Truncate", DURATION_PARAM),
    ("UTC", NO_PARAMS),
    ("Unix", NO_PARAMS),
    ("UnixMicro", NO_PARAMS),
    ("UnixMilli", NO_PARAMS),
    ("UnixNano", NO_PARAMS),
    ("Weekday", NO_PARAMS),
    ("Year", NO_PARAMS),
    ("YearDay", NO_PARAMS),
];

impl Object for TimeObject {
    fn go_type(&self) -> &'static NamedType {
        &TIME
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn method(&self, name: &str) -> Option<&'static Signature> {
        METHODS.iter().find(|(own, _)| *own == name).map(|(_, signature)| signature)
    }

    fn call(&self, name: &str, _cx: &Context<'_>, args: &Args) -> Result<Value, Error> {
        let time = &self.0;
        let other = || time_of(args.any(0)).ok_or_else(|| fail("expected time.Time"));
        let span = || Duration::of(args.any(0)).ok_or_else(|| fail("expected time.Duration"));
        let order = |other: &Time| (time.seconds, time.nanos).cmp(&(other.seconds, other.nanos));
        let scaled = |per_second: i64| {
            let part = i64::from(time.nanos) / (duration::SECOND / per_second);
            Value::Int64(time.seconds.wrapping_mul(per_second).wrapping_add(part))
        };
        let (date, (hour, minute, second)) = (time.date(), time.clock());
        Ok(match name {
            "Add" => moved(time, span()?),
            "AddDate" => time.plus_date(args.int(0)?, args.int(1)?, args.int(2)?).into(),
            "After" => Value::Bool(order(&other()?).is_gt()),
            "Before" => Value::Bool(order(&other()?).is_lt()),
            "Compare" => Value::Int(order(&other()?) as i64),
            "Equal" => Value::Bool(order(&other()?).is_eq()),
            "Sub" => Duration(time.since(&other()?)).into(),
            "Format" => Value::string(time.format(args.string(0)?)),
            "String" => Value::from(time.text()),
            "IsZero" => Value::Bool(order(&Time::zero()).is_eq()),
            "Year" => Value::Int(date.year),
            "YearDay" => Value::Int(date.year_day),
            "Month" => Named { go_type: &MONTH, number: date.month, text: time.month_name() }.into(),
            "Weekday" => Named { go_type: &WEEKDAY, number: date.weekday, text: time.weekday_name() }.into(),
            "Day" => Value::Int(date.day),
            "Hour" => Value::Int(hour),
            "Minute" => Value::Int(minute),
            "Second" => Value::Int(second),
            "Nanosecond" => Value::Int(i64::from(time.nanos)),
            "UTC" => time.in_zone(Zone::Utc).into(),
            // The only places that times here come from are the local one and those of a fixed distance.
            "Local" => match time.zone {
                Zone::Place(_) => time.clone().into(),
                _ => time.in_zone(Zone::Utc).into(),
            },
            "Unix" => Value::Int64(time.seconds),
            "UnixMilli" => scaled(1_000),
            "UnixMicro" => scaled(1_000_000),
            "UnixNano" => scaled(duration::SECOND),
            // Multiples of a duration are counted from the zero time.
            "Round" | "Truncate" => {
                let unit = span()?;
                let rest = time.remainder(unit);
                if name == "Round" && rest >= unit - rest {
                    moved(time, unit - rest)
                } else {
                    moved(time, -rest)
                }
            }
            _ => return Err(fail(format!("{name} is not a method of time.Time"))),
        })
    }

    fn text(&self) -> Option<Str> {
        Some(self.0.text().into())
    }

    fn equals(&self, other: &dyn Object) -> Option<bool> {
        Some(other.as_any().downcast_ref::<Self>().is_some_and(|other| self.0 == other.0))
    }

    fn to_json(&self) -> Result<serde_json::Value, String> {
        if !(0..=9999).contains(&self.0.date().year) {
            let why = "Time.MarshalJSON: year outside of range [0,9999]";
            return Err(format!("json: error calling MarshalJSON for type time.Time: {why}"));
        }
        Ok(serde_json::Value::String(self.0.rfc3339()))
    }
}

fn moved(time: &Time, nanos: i64) -> Value {
    time.plus(nanos).unwrap_or_else(|| time.clone()).into()
}

/// A `time.Month` or `time.Weekday`: a number with a name.
#[derive(Debug)]
struct Named {
    go_type: &'static NamedType,
    number: i64,
    text: &'static str,
}

impl From<Named> for Value {
    fn from(named: Named) -> Self {
        Value::object(named)
    }
}

impl Object for Named {
    fn go_type(&self) -> &'static NamedType {
        self.go_type
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn method(&self, name: &str) -> Option<&'static Signature> {
        (name == "String").then_some(&NO_PARAMS)
    }

    fn call(&self, _name: &str, _cx: &Context<'_>, _args: &Args) -> Result<Value, Error> {
        Ok(Value::from(self.text))
    }

    fn text(&self) -> Option<Str> {
        Some(self.text.into())
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::Int(self.number))
    }

    fn equals(&self, other: &dyn Object) -> Option<bool> {
        let same = |other: &Self| other.go_type == self.go_type && other.number == self.number;
        Some(other.as_any().downcast_ref::<Self>().is_some_and(same))
    }

    fn to_json(&self) -> Result<serde_json::Value, String> {
        Ok(self.number.into())
    }
}
