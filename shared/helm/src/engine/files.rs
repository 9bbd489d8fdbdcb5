//! `.Files`: what a template can read of its chart.

use std::any::Any;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map as JsonMap, Value as Json};
use sluice_gotemplate::call::{Args, Signature};
use sluice_gotemplate::value::{MapType, NamedType};
use sluice_gotemplate::{Context, Error, Field, Kind, List, Map, Object, Type, Value};

use super::glob::Glob;
use crate::chart::ChartFile;

/// The files of a chart by path; shared by all renders.
pub(super) type Index = Arc<BTreeMap<String, Bytes>>;

pub(super) fn index(files: &[ChartFile]) -> Index {
    Arc::new(files.iter().map(|file| (file.name.clone(), file.data.clone())).collect())
}

/// `.Files`, and what `.Files.Glob` returns.
pub(super) struct Files {
    index: Index,
    /// The map behind the methods, for `range` and printing; made when first asked for, because it copies all files.
    map: OnceCell<Map>,
}

static TYPE: NamedType = NamedType { name: "engine.files", kind: Kind::Map };
static BYTES_MAP: MapType =
    MapType { name: "map[string][]uint8", elem: Type::BYTES, named: false, methods: &[] };
static ONE_STRING: Signature = Signature::fixed(&[Type::String]);
static NOTHING: Signature = Signature::fixed(&[]);

impl Files {
    pub(super) fn new(index: Index) -> Self {
        Self { index, map: OnceCell::new() }
    }

    fn bytes(&self, name: &[u8]) -> &[u8] {
        std::str::from_utf8(name).ok().and_then(|name| self.index.get(name)).map_or(&[], |data| data)
    }

    fn glob(&self, pattern: &str) -> Self {
        let glob = Glob::new(pattern);
        let chosen = self.index.iter().filter(|(name, _)| glob.matches(name));
        Self::new(Arc::new(chosen.map(|(name, data)| (name.clone(), data.clone())).collect()))
    }

    /// The base name and content of each file. Of equal base names the last path counts; Helm takes any.
    fn by_base_name(&self, content: impl Fn(&[u8]) -> String) -> Json {
        let pair = |(name, data): (&String, &Bytes)| {
            let base = name.rsplit('/').next().unwrap_or(name);
            (base.to_owned(), Json::String(content(data)))
        };
        Json::Object(self.index.iter().map(pair).collect::<JsonMap<_, _>>())
    }

    fn lines(&self, name: &[u8]) -> List {
        let data = self.bytes(name);
        if data.is_empty() {
            return List::strings(Vec::<&[u8]>::new());
        }
        let data = data.strip_suffix(b"\n").unwrap_or(data);
        List::strings(data.split(|b| *b == b'\n'))
    }
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.index.keys()).finish()
    }
}

impl Object for Files {
    fn go_type(&self) -> &'static NamedType {
        &TYPE
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn method(&self, name: &str) -> Option<&'static Signature> {
        match name {
            "Get" | "GetBytes" | "Glob" | "Lines" => Some(&ONE_STRING),
            "AsConfig" | "AsSecrets" => Some(&NOTHING),
            _ => None,
        }
    }

    fn call(&self, name: &str, cx: &Context<'_>, args: &Args) -> Result<Value, Error> {
        let yaml = |json: Json| {
            let text = super::functions::to_yaml(&json);
            cx.charge(text.len())?;
            Ok(Value::from(text))
        };
        match name {
            "AsConfig" => return yaml(self.by_base_name(|data| String::from_utf8_lossy(data).into_owned())),
            "AsSecrets" => return yaml(self.by_base_name(|data| STANDARD.encode(data))),
            _ => {}
        }
        let argument = args.string(0)?;
        Ok(match name {
            "Get" => {
                let data = self.bytes(argument);
                cx.charge(data.len())?;
                Value::string(data)
            }
            "GetBytes" => {
                let data = self.bytes(argument);
                cx.charge(data.len())?;
                Value::Bytes(data.into())
            }
            "Glob" => Value::object(self.glob(&argument.to_str())),
            _ => Value::List(self.lines(argument)),
        })
    }

    fn field(&self, name: &str) -> Field {
        Field::Value(Value::Bytes(self.bytes(name.as_bytes()).into()))
    }

    fn underlying(&self) -> Option<Value> {
        let map = self.map.get_or_init(|| {
            let entries = self.index.iter();
            let entries = entries.map(|(name, data)| (name.as_str().into(), Value::Bytes(data[..].into())));
            Map::typed(&BYTES_MAP, entries.collect())
        });
        Some(Value::Map(map.clone()))
    }

    fn equals(&self, _: &dyn Object) -> Option<bool> {
        None
    }

    fn to_json(&self) -> Result<Json, String> {
        let pair = |(name, data): (&String, &Bytes)| (name.clone(), Json::String(STANDARD.encode(data)));
        Ok(Json::Object(self.index.iter().map(pair).collect()))
    }
}
