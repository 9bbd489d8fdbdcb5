//! Structs, pointers and named types, as a caller adds them: fields, methods, text, and what Go says about the rest.

use std::{any::Any, collections::BTreeMap, sync::Arc};

use sluice_gotemplate::{
    Args, Context, Error, Field, Function, Functions, Kind, List, MapMethod, MapType, NamedType, Object,
    Options, Session, Set, Signature, Str, Type, Value,
};

/// `type Version struct { Major string; normalized string }` with `String()` on its pointer and a method.
#[derive(Debug)]
struct Version;

static VERSION: NamedType = NamedType { name: "common.Version", kind: Kind::Struct };
static IS: Signature = Signature::fixed(&[Type::String]);

impl Object for Version {
    fn go_type(&self) -> &'static NamedType {
        &VERSION
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn method(&self, name: &str) -> Option<&'static Signature> {
        (name == "Is").then_some(&IS)
    }

    fn call(&self, _: &str, _: &Context<'_>, args: &Args) -> Result<Value, Error> {
        let asked = args.string(0)?;
        if asked.is_empty() { Err(Error::message("empty version")) } else { Ok(Value::Bool(asked == "1")) }
    }

    fn field(&self, name: &str) -> Field {
        match name {
            "Major" => Field::Value(Value::from("1")),
            "normalized" => Field::Unexported,
            _ => Field::None,
        }
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![("Major", Value::from("1")), ("normalized", Value::from("v1"))]
    }

    fn pointer_text(&self) -> Option<Str> {
        Some("v1".into())
    }
}

/// `type Set []string`
#[derive(Debug)]
struct Names;

static NAMES: NamedType = NamedType { name: "common.Set", kind: Kind::Slice };

impl Object for Names {
    fn go_type(&self) -> &'static NamedType {
        &NAMES
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::List(List::strings(["a", "b"])))
    }
}

static METHODS: [MapMethod; 1] = [MapMethod {
    name: "Table",
    signature: Signature::fixed(&[Type::String]),
    call: |map, _, args| map.get(args.string(0)?).ok_or_else(|| Error::message("no table")),
}];
static VALUES: MapType = MapType { name: "common.Values", elem: Type::Any, named: true, methods: &METHODS };

fn render(text: &str) -> String {
    let mut functions = Functions::builtin();
    functions.extend([
        Function::new("typeOf", &[Type::Any], |_, args| Ok(args.any(0).type_name().into())),
        Function::new("plain", &[Type::MAP], |_, args| Ok(args.any(0).clone())),
    ]);
    let mut set = Set::new("gotpl", Arc::new(functions));
    if let Err(error) = set.parse("t", text.as_bytes()) {
        return error.to_string();
    }
    let root = BTreeMap::from([
        ("v".into(), Value::object(Version)),
        ("s".into(), Value::object(Names)),
        ("Table".into(), Value::from("shadowed")),
    ]);
    let root = Value::Map(sluice_gotemplate::Map::typed(&VALUES, root));
    match set.execute(&Session::new(Options::default(), None), "t", &root) {
        Ok(out) => String::from_utf8_lossy(&out).into_owned(),
        Err(error) => error.to_string().replace("template: t:1:", "").replace(" executing \"t\" at", ""),
    }
}

#[test]
fn objects_behave_as_their_go_types_do() {
    for (text, want) in [
        // What only a pointer can print, the end of a pipeline prints, a function does not.
        (
            "{{ .v }}|{{ print .v }}|{{ printf \"%+v %#v\" .v .v }}",
            "v1|{1 v1}|{Major:1 normalized:v1} common.Version{Major:\"1\", normalized:\"v1\"}",
        ),
        ("{{ .v.Major }}", "1"),
        (
            "{{ .v.normalized }}",
            "5: <.v.normalized>: normalized is an unexported field of struct type interface {}",
        ),
        (
            "{{ $v := .v }}{{ $v.normalized }}",
            "19: <$v.normalized>: normalized is an unexported field of struct type common.Version",
        ),
        ("{{ .v.nope }}", "5: <.v.nope>: can't evaluate field nope in type interface {}"),
        ("{{ .v.Major 1 }}", "5: <.v.Major>: Major has arguments but cannot be invoked as function"),
        ("{{ .v.Is \"1\" }} {{ \"2\" | .v.Is }}", "true false"),
        ("{{ .v.Is }}", "5: <.v.Is>: wrong number of args for Is: want 1 got 0"),
        ("{{ .v.Is 1 }}", "9: <1>: expected string; found 1"),
        ("{{ .v.Is \"\" }}", "5: <.v.Is>: error calling Is: empty version"),
        ("{{ if .v }}y{{ end }}{{ eq .v .v }}", "ytrue"),
        (
            "{{ eq .v \"1\" }}",
            "3: <eq .v \"1\">: error calling eq: incompatible types for comparison: common.Version and string",
        ),
        ("{{ len .v }}", "3: <len .v>: error calling len: len of type common.Version"),
        (
            "{{ .s }} {{ len .s }} {{ index .s 1 }} {{ range $i, $s := .s }}{{ $i }}{{ $s }}{{ end }} {{ typeOf .s }}",
            "[a b] 2 b 0a1b common.Set",
        ),
        ("{{ printf \"%#v\" .s }}", "common.Set{\"a\", \"b\"}"),
        // A method hides an entry of its name; behind a parameter the map is what the parameter says.
        ("{{ .Table }}", "3: <.Table>: wrong number of args for Table: want 1 got 0"),
        ("{{ .Table \"s\" }} {{ .Table \"x\" }}", "20: <.Table>: error calling Table: no table"),
        (
            "{{ typeOf . }} {{ typeOf (plain .) }} {{ (plain .).Table }}",
            "common.Values map[string]interface {} shadowed",
        ),
    ] {
        assert_eq!(render(text), want, "{text}");
    }
}
