//! URLs taken apart and put together, and host names resolved where that is allowed.

use std::net::ToSocketAddrs as _;

use rand::RngExt as _;

use super::{
    fail,
    random::Source,
    url::{Url, User},
};
use crate::{Error, Function, Map, Str, Type, Value};

/// The functions of this family.
pub(super) fn functions(source: &Source) -> Vec<Function> {
    let source = source.clone();
    vec![
        Function::new("urlParse", &[Type::String], |cx, args| {
            let text = args.string(0)?;
            cx.charge(text.len())?;
            let url = Url::parse(text).map_err(|why| fail(format!("unable to parse url: {why}")))?;
            let hostname = url.hostname().to_vec();
            let user = url.user.as_ref().map(User::text).unwrap_or_default();
            let parts = [
                ("scheme", url.scheme),
                ("host", url.host),
                ("hostname", hostname),
                ("path", url.path),
                ("query", url.query),
                ("opaque", url.opaque),
                ("fragment", url.fragment),
                ("userinfo", user),
            ];
            Ok(parts.into_iter().map(|(key, part)| (key, Value::string(part))).collect::<Map>().into())
        }),
        Function::new("urlJoin", &[Type::MAP], |cx, args| {
            let map = args.map(0)?;
            let part = |key: &str| text_of(map, key).map(|text| text.to_vec());
            let mut url = Url {
                scheme: part("scheme")?,
                host: part("host")?,
                path: part("path")?,
                query: part("query")?,
                opaque: part("opaque")?,
                fragment: part("fragment")?,
                user: None,
            };
            let user = part("userinfo")?;
            if !user.is_empty() {
                let text = [b"proto://", user.as_slice(), b"@host"].concat();
                let parsed = Url::parse(&text)
                    .map_err(|why| fail(format!("unable to parse userinfo in dict: {why}")))?;
                url.user = parsed.user;
            }
            let text = url.text();
            cx.charge(text.len())?;
            Ok(Value::string(text))
        }),
        Function::new("getHostByName", &[Type::String], move |cx, args| {
            if !cx.options().dns {
                return Ok(Value::from(""));
            }
            let name = args.string(0)?.to_str().into_owned();
            let found = (name.as_str(), 0_u16).to_socket_addrs();
            let addresses: Vec<String> =
                found.map(|all| all.map(|address| address.ip().to_string()).collect()).unwrap_or_default();
            if addresses.is_empty() {
                // What the peer's choice among no addresses says; it tells nothing of the name.
                return Err(fail("invalid argument to Intn"));
            }
            Ok(Value::from(addresses[source.rng(cx).random_range(0..addresses.len())].as_str()))
        }),
    ]
}

/// A text of a dictionary; empty if there is none.
fn text_of(map: &Map, key: &str) -> Result<Str, Error> {
    match map.get(key) {
        None => Ok(Str::default()),
        Some(Value::String(text)) => Ok(text),
        Some(Value::Nil) => Err(fail("runtime error: invalid memory address or nil pointer dereference")),
        Some(other) => {
            let kind = other.kind().name();
            Err(fail(format!("unable to parse {key} key, must be of type string, but {kind} found")))
        }
    }
}
