//! The objects that templates start from: `.Values`, `.Chart`, `.Release` and so on.

use std::sync::Arc;

use sluice_gotemplate::call::{Args, Signature};
use sluice_gotemplate::value::{MapMethod, MapType, NamedType, Numbers};
use sluice_gotemplate::{Context, Error, Kind, Map, Type, Value};

use super::capabilities;
use super::compile::ChartFiles;
use super::files::Files;
use crate::chart::{Dependency, ImportValue, Maintainer, Metadata};
use crate::{Capabilities, Instance, Release};

/// `common.Values`: the type of `.Values`, of `.Template` and of the root itself.
static VALUES: MapType = MapType {
    name: "common.Values",
    elem: Type::Any,
    named: true,
    methods: &[
        MapMethod { name: "AsMap", signature: Signature::fixed(&[]), call: as_map },
        MapMethod { name: "YAML", signature: Signature::fixed(&[]), call: yaml },
        MapMethod { name: "Table", signature: Signature::fixed(&[Type::String]), call: table },
        MapMethod { name: "PathValue", signature: Signature::fixed(&[Type::String]), call: path_value },
        MapMethod { name: "Encode", signature: Signature::fixed(&[Type::Named(&WRITER)]), call: encode },
    ],
};
static WRITER: NamedType = NamedType { name: "io.Writer", kind: Kind::Struct };

/// The root objects of all charts of a release, parents first. Each is shared by all files of its chart.
pub(super) struct Scopes(Vec<Scope>);

struct Scope {
    root: Map,
    base_path: String,
}

impl Scopes {
    /// `values` are the coalesced values of the root chart.
    pub(super) fn new(
        instance: &Instance,
        files: &ChartFiles,
        values: &serde_json::Map<String, serde_json::Value>,
        release: &Release,
        capabilities: &Arc<Capabilities>,
    ) -> Self {
        let values: Map = values
            .iter()
            .map(|(key, value)| (key.as_str(), Value::from_json(value, Numbers::Keep)))
            .collect();
        let mut making = Making {
            release: Value::Map(release_map(release)),
            capabilities: Value::object(capabilities::Root(Arc::clone(capabilities))),
            scopes: Vec::new(),
        };
        making.scope(instance, files, &values, true);
        Self(making.scopes)
    }

    /// The root object of a chart as the template `file` sees it.
    pub(super) fn root_for(&self, chart: usize, file: &str) -> Value {
        let Some(scope) = self.0.get(chart) else { return Value::Nil };
        let template = [("Name", file), ("BasePath", scope.base_path.as_str())];
        let template: Map = template.into_iter().map(|(key, value)| (key, Value::from(value))).collect();
        scope.root.insert("Template", Value::Map(template.viewed_as(&VALUES)));
        Value::Map(scope.root.viewed_as(&VALUES))
    }
}

/// What all charts of a release see alike, and the scopes so far.
struct Making {
    release: Value,
    capabilities: Value,
    scopes: Vec<Scope>,
}

impl Making {
    fn scope(&mut self, instance: &Instance, files: &ChartFiles, values: &Map, is_root: bool) -> Map {
        let (root, subcharts) = (Map::new(), Map::new());
        self.scopes.push(Scope { root: root.clone(), base_path: format!("{}/templates", instance.path) });
        for (child, files) in instance.children.iter().zip(&files.children) {
            let below = match values.get(child.name()) {
                Some(Value::Map(map)) => map,
                _ => Map::new(),
            };
            let scope = self.scope(child, files, &below, false);
            subcharts.insert(child.name(), Value::Map(scope));
        }
        for (key, value) in [
            ("Chart", Value::Map(chart_map(&instance.metadata, is_root))),
            ("Files", Value::object(Files::new(Arc::clone(&files.index)))),
            ("Release", self.release.clone()),
            ("Capabilities", self.capabilities.clone()),
            ("Values", Value::Map(values.viewed_as(&VALUES))),
            ("Subcharts", Value::Map(subcharts)),
        ] {
            root.insert(key, value);
        }
        root
    }
}

fn release_map(release: &Release) -> Map {
    [
        ("Name", release.name.as_str().into()),
        ("Namespace", release.namespace.as_str().into()),
        ("Revision", Value::Int(i64::from(release.revision))),
        ("IsInstall", Value::Bool(!release.is_upgrade)),
        ("IsUpgrade", Value::Bool(release.is_upgrade)),
        ("Service", "Helm".into()),
    ]
    .into_iter()
    .collect()
}

fn chart_map(metadata: &Metadata, is_root: bool) -> Map {
    let texts = [
        ("Name", &metadata.name),
        ("Home", &metadata.home),
        ("Version", &metadata.version),
        ("Description", &metadata.description),
        ("Icon", &metadata.icon),
        ("APIVersion", &metadata.api_version),
        ("Condition", &metadata.condition),
        ("Tags", &metadata.tags),
        ("AppVersion", &metadata.app_version),
        ("KubeVersion", &metadata.kube_version),
        ("Type", &metadata.kind),
    ];
    let chart: Map = texts.into_iter().map(|(key, text)| (key, Value::from(text.as_str()))).collect();
    chart.insert("Sources", texts_list(&metadata.sources));
    chart.insert("Keywords", texts_list(&metadata.keywords));
    chart.insert("Maintainers", Value::list(metadata.maintainers.iter().map(maintainer).collect()));
    chart.insert("Dependencies", Value::list(metadata.dependencies.iter().map(dependency).collect()));
    chart.insert("Deprecated", Value::Bool(metadata.deprecated));
    let annotations = metadata.annotations.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let annotations = if metadata.annotations.is_empty() {
        Map::nil(&sluice_gotemplate::value::STRING_MAP)
    } else {
        Map::strings(annotations)
    };
    chart.insert("Annotations", Value::Map(annotations));
    chart.insert("IsRoot", Value::Bool(is_root));
    chart
}

fn texts_list(texts: &[String]) -> Value {
    Value::list(texts.iter().map(|text| text.as_str().into()).collect())
}

fn maintainer(of: &Maintainer) -> Value {
    let pairs = [("Name", &of.name), ("Email", &of.email), ("URL", &of.url)];
    Value::Map(pairs.into_iter().map(|(key, text)| (key, Value::from(text.as_str()))).collect())
}

fn dependency(of: &Dependency) -> Value {
    let texts = [
        ("Name", &of.name),
        ("Version", &of.version),
        ("Repository", &of.repository),
        ("Condition", &of.condition),
        ("Alias", &of.alias),
    ];
    let map: Map = texts.into_iter().map(|(key, text)| (key, Value::from(text.as_str()))).collect();
    map.insert("Tags", texts_list(&of.tags));
    map.insert("Enabled", Value::Bool(of.enabled));
    let imports = of.import_values.iter().map(|import| match import {
        ImportValue::Export(name) => Value::from(name.as_str()),
        ImportValue::Paths { child, parent } => {
            Value::Map(Map::strings([("child", child.as_str()), ("parent", parent.as_str())]))
        }
        ImportValue::Other(value) => Value::from_json(value, Numbers::Keep),
    });
    map.insert("ImportValues", Value::list(imports.collect()));
    Value::Map(map)
}

fn as_map(map: &Map, _: &Context<'_>, _: &Args) -> Result<Value, Error> {
    Ok(Value::Map(map.viewed_as(&sluice_gotemplate::value::ANY_MAP)))
}

fn yaml(map: &Map, cx: &Context<'_>, _: &Args) -> Result<Value, Error> {
    let json = Value::Map(map.clone()).to_json().map_err(Error::message)?;
    let text = super::functions::to_yaml(&json) + "\n";
    cx.charge(text.len())?;
    Ok(Value::from(text))
}

fn table(map: &Map, _: &Context<'_>, args: &Args) -> Result<Value, Error> {
    Ok(Value::Map(find_table(map, args.string(0)?)?.viewed_as(&VALUES)))
}

fn find_table(map: &Map, path: &[u8]) -> Result<Map, Error> {
    path.split(|b| *b == b'.').try_fold(map.clone(), |table, key| match table.get(key) {
        Some(Value::Map(inner)) => Ok(inner),
        _ => Err(not_a(key, "table")),
    })
}

fn path_value(map: &Map, _: &Context<'_>, args: &Args) -> Result<Value, Error> {
    let path = args.string(0)?;
    if path.is_empty() {
        return Err(Error::message("YAML path cannot be empty"));
    }
    let (table, key) = match path.iter().rposition(|b| *b == b'.') {
        Some(dot) => {
            let key = path.get(dot + 1..).unwrap_or_default();
            let tables = path.get(..dot).unwrap_or_default();
            (find_table(map, tables).map_err(|_| not_a(key, "value"))?, key)
        }
        None => (map.clone(), &path[..]),
    };
    match table.get(key) {
        None | Some(Value::Map(_)) => Err(not_a(key, "value")),
        Some(value) => Ok(value),
    }
}

/// Needs a writer, which no template has.
fn encode(_: &Map, _: &Context<'_>, _: &Args) -> Result<Value, Error> {
    Err(Error::message("Encode needs an io.Writer"))
}

fn not_a(key: &[u8], what: &str) -> Error {
    let key = crate::text::quoted(&String::from_utf8_lossy(key));
    Error::message(format!("{key} is not a {what}"))
}
