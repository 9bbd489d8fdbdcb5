//! Regular expressions.

use std::sync::Arc;

use super::{
    fail,
    regexp::{Cache, Regexp, SyntaxError, quote_meta},
    slow,
};
use crate::{Args, Context, Error, Function, List, Stop, Str, Type, Value};

const TWO: &[Type] = &[Type::String, Type::String];
const THREE: &[Type] = &[Type::String, Type::String, Type::String];
const COUNTED: &[Type] = &[Type::String, Type::String, Type::Int];

type Body = fn(&Context<'_>, &Regexp, &Args) -> Result<Value, Error>;

/// The functions of this family.
pub(super) fn functions() -> Vec<Function> {
    let cache = Arc::new(Cache::default());
    let (plain, strict) = (cache.clone(), cache.clone());
    let mut functions = vec![
        // A faulty pattern matches nothing here, while the other functions fail.
        Function::new("regexMatch", TWO, move |cx, args| {
            let (regexp, text) = (compiled(cx, &plain, args)?, args.string(1)?);
            Ok(Value::Bool(regexp.is_ok_and(|regexp| regexp.is_match(text))))
        }),
        Function::new("mustRegexMatch", TWO, move |cx, args| {
            let regexp = compiled(cx, &strict, args)?.map_err(fail)?;
            Ok(Value::Bool(regexp.is_match(args.string(1)?)))
        }),
        Function::new("regexQuoteMeta", &[Type::String], |cx, args| {
            let text = quote_meta(args.string(0)?);
            cx.charge(text.len())?;
            Ok(Value::string(text))
        }),
    ];
    let twins: [(&'static str, &'static str, &'static [Type], Body); 5] = [
        ("regexFind", "mustRegexFind", TWO, |_, regexp, args| {
            Ok(Value::string(regexp.find(args.string(1)?).unwrap_or_default()))
        }),
        ("regexFindAll", "mustRegexFindAll", COUNTED, find_all),
        ("regexSplit", "mustRegexSplit", COUNTED, split),
        ("regexReplaceAll", "mustRegexReplaceAll", THREE, |cx, regexp, args| {
            replaced(cx, |budget| Ok(regexp.replace_all(args.string(1)?, args.string(2)?, budget)))
        }),
        ("regexReplaceAllLiteral", "mustRegexReplaceAllLiteral", THREE, |cx, regexp, args| {
            replaced(cx, |budget| Ok(regexp.replace_all_literal(args.string(1)?, args.string(2)?, budget)))
        }),
    ];
    for (name, twin, params, body) in twins {
        let (plain, strict) = (cache.clone(), cache.clone());
        functions.push(Function::new(name, params, move |cx, args| {
            let pattern = args.string(0)?;
            let regexp = compiled(cx, &plain, args)?;
            body(cx, &*regexp.map_err(|error| fail(error.panic_text(pattern)))?, args)
        }));
        functions.push(Function::new(twin, params, move |cx, args| {
            body(cx, &*compiled(cx, &strict, args)?.map_err(fail)?, args)
        }));
    }
    functions
}

/// The pattern that is the first argument.
fn compiled(cx: &Context<'_>, cache: &Cache, args: &Args) -> Result<Result<Arc<Regexp>, SyntaxError>, Error> {
    let pattern = args.string(0)?;
    if let Some(known) = cache.known(pattern) {
        return Ok(Ok(known));
    }
    slow(cx)?;
    Ok(cache.compile(pattern))
}

/// A count of which negative numbers mean all.
fn limit(args: &Args) -> Result<Option<usize>, Error> {
    Ok(usize::try_from(args.int(2)?).ok())
}

fn find_all(cx: &Context<'_>, regexp: &Regexp, args: &Args) -> Result<Value, Error> {
    let text = args.string(1)?;
    let found = regexp.find_all(text, bounded(cx, limit(args)?));
    cx.check_items(found.len())?;
    Ok(strings(found.into_iter().map(|(start, end)| &text[start..end]).collect()))
}

fn split(cx: &Context<'_>, regexp: &Regexp, args: &Args) -> Result<Value, Error> {
    let limit = limit(args)?;
    if limit == Some(0) {
        return Ok(List::nil(Type::String).into());
    }
    let pieces = regexp.split(args.string(1)?, limit);
    cx.check_items(pieces.len())?;
    Ok(List::strings(pieces).into())
}

/// The count, or one more than is allowed.
fn bounded(cx: &Context<'_>, limit: Option<usize>) -> usize {
    limit.unwrap_or(usize::MAX).min(cx.options().max_items.saturating_add(1))
}

/// A `[]string`, nil if it has no items.
fn strings(items: Vec<&[u8]>) -> Value {
    if items.is_empty() { List::nil(Type::String).into() } else { List::strings(items).into() }
}

fn replaced(
    cx: &Context<'_>,
    replace: impl FnOnce(usize) -> Result<Option<Vec<u8>>, Error>,
) -> Result<Value, Error> {
    let budget = cx.options().max_output;
    let text = replace(budget)?.ok_or(Error::from(Stop::Output(budget)))?;
    cx.charge(text.len())?;
    Ok(Value::String(Str::from(text)))
}
