//! `semver`, `semverCompare`, and the `*semver.Version` that templates see.

use std::any::Any;

use super::{
    fail,
    semver::{Constraint, Version},
};
use crate::{Args, Context, Error, Function, Kind, NamedType, Object, Signature, Str, Type, Value};

static POINTER: NamedType = NamedType { name: "*semver.Version", kind: Kind::Ptr };
static STRUCT: NamedType = NamedType { name: "semver.Version", kind: Kind::Struct };

/// The functions of this family.
pub(super) fn functions() -> Vec<Function> {
    vec![
        Function::new("semver", &[Type::String], |_, args| {
            let version = Version::parse(&args.string(0)?.to_str()).map_err(fail)?;
            Ok(Value::object(VersionObject { version, pointer: true }))
        }),
        Function::new("semverCompare", &[Type::String, Type::String], |_, args| {
            let constraint = Constraint::parse(&args.string(0)?.to_str()).map_err(fail)?;
            let version = Version::parse(&args.string(1)?.to_str()).map_err(fail)?;
            Ok(Value::Bool(constraint.matches(&version)))
        }),
    ]
}

/// Whether two pointers lead to versions that are alike in every part, also in how they were written.
pub(super) fn same_versions(a: &dyn Object, b: &dyn Object) -> bool {
    let version =
        |object: &dyn Object| object.as_any().downcast_ref::<VersionObject>().map(|own| own.version.clone());
    version(a).is_some() && version(a) == version(b)
}

/// A `*semver.Version`, or the struct itself, which methods like `IncMajor` return.
#[derive(Debug)]
struct VersionObject {
    version: Version,
    pointer: bool,
}

const NO_PARAMS: Signature = Signature::fixed(&[]);
const STRING: Signature = Signature::fixed(&[Type::String]);
const ONE_VERSION: &[Type] = &[Type::Named(&POINTER)];
const OTHER: Signature = Signature::fixed(ONE_VERSION);

impl Object for VersionObject {
    fn go_type(&self) -> &'static NamedType {
        if self.pointer { &POINTER } else { &STRUCT }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn method(&self, name: &str) -> Option<&'static Signature> {
        Some(match name {
            "Major" | "Minor" | "Patch" | "Prerelease" | "Metadata" | "String" | "IncMajor" | "IncMinor"
            | "IncPatch" => &NO_PARAMS,
            "SetPrerelease" | "SetMetadata" => &STRING,
            // These belong to the pointer.
            "Original" if self.pointer => &NO_PARAMS,
            "Compare" | "Equal" | "LessThan" | "LessThanEqual" | "GreaterThan" | "GreaterThanEqual"
                if self.pointer =>
            {
                &OTHER
            }
            _ => return None,
        })
    }

    fn call(&self, name: &str, _cx: &Context<'_>, args: &Args) -> Result<Value, Error> {
        let own = &self.version;
        let overflow = |part: &str| fail(format!("{part} version increment would overflow uint64"));
        let by_value = |version: Version| Value::object(Self { version, pointer: false });
        let order = || match args.any(0) {
            Value::Object(object) => match object.as_any().downcast_ref::<Self>() {
                Some(other) => Ok(own.compare(&other.version)),
                None => Err(fail("expected *semver.Version")),
            },
            _ => Err(fail("runtime error: invalid memory address or nil pointer dereference")),
        };
        Ok(match name {
            "Major" => Value::Uint64(own.major),
            "Minor" => Value::Uint64(own.minor),
            "Patch" => Value::Uint64(own.patch),
            "Prerelease" => Value::from(own.prerelease.as_str()),
            "Metadata" => Value::from(own.metadata.as_str()),
            "Original" => Value::from(own.original.as_str()),
            "String" => Value::from(own.to_string()),
            "IncMajor" => by_value(own.next_major().ok_or_else(|| overflow("major"))?),
            "IncMinor" => by_value(own.next_minor().ok_or_else(|| overflow("minor"))?),
            "IncPatch" => by_value(own.next_patch().ok_or_else(|| overflow("patch"))?),
            "SetPrerelease" => by_value(own.with_prerelease(&args.string(0)?.to_str()).map_err(fail)?),
            "SetMetadata" => by_value(own.with_metadata(&args.string(0)?.to_str()).map_err(fail)?),
            "Compare" => Value::Int(order()? as i64),
            "Equal" => Value::Bool(!args.any(0).is_nil() && order()?.is_eq()),
            "LessThan" => Value::Bool(order()?.is_lt()),
            "LessThanEqual" => Value::Bool(order()?.is_le()),
            "GreaterThan" => Value::Bool(order()?.is_gt()),
            "GreaterThanEqual" => Value::Bool(order()?.is_ge()),
            _ => return Err(fail(format!("{name} is not a method of {}", self.go_type().name))),
        })
    }

    fn text(&self) -> Option<Str> {
        Some(self.version.to_string().into())
    }

    fn equals(&self, other: &dyn Object) -> Option<bool> {
        let other = other.as_any().downcast_ref::<Self>()?;
        if self.pointer {
            return Some(std::ptr::eq(self, other));
        }
        Some(!other.pointer && self.version == other.version)
    }

    fn to_json(&self) -> Result<serde_json::Value, String> {
        Ok(self.version.to_string().into())
    }
}
