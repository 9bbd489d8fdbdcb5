//! Writing a kustomization file, fields in kustomize's canonical order.

use sluice_yaml::{Map, Value};

use super::{API_VERSION, Kustomization};

/// The order in which `kustomize edit` writes fields.
const ORDER: [&str; 34] = [
    "apiVersion",
    "kind",
    "metadata",
    "sortOptions",
    "resources",
    "bases",
    "namePrefix",
    "nameSuffix",
    "namespace",
    "crds",
    "commonLabels",
    "labels",
    "commonAnnotations",
    "patchesStrategicMerge",
    "patchesJson6902",
    "patches",
    "configMapGenerator",
    "secretGenerator",
    "helmCharts",
    "helmChartInflationGenerator",
    "helmGlobals",
    "generatorOptions",
    "vars",
    "images",
    "imageTags",
    "replacements",
    "replicas",
    "configurations",
    "generators",
    "transformers",
    "validators",
    "components",
    "openapi",
    "buildMetadata",
];

impl Kustomization {
    /// A kustomization with kind and apiVersion and nothing else.
    #[must_use]
    pub fn new() -> Self {
        Self { api_version: API_VERSION.into(), kind: "Kustomization".into(), ..Self::default() }
    }

    /// The file's text: every field that is set, in kustomize's canonical order.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let Ok(Value::Object(mut fields)) = serde_json::to_value(self) else { return String::new() };
        let mut out = String::new();
        for name in ORDER {
            if let Some(value) = fields.remove(name) {
                let one = Map::from_iter([(name.to_owned(), value)]);
                out.push_str(&sluice_yaml::to_string(&Value::Object(one)));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::UnknownFields;
    use super::*;

    #[test]
    fn what_is_written_reads_back_the_same() {
        let text = "kind: Kustomization\nRESOURCES: [a, ./b]\nimages:\n- name: x\n  newTag: v1\nlabels:\n- pairs: {a: b}\n  includeSelectors: true\nnamespace: ns\npatches:\n- patch: |-\n    - op: add\n  target: {kind: Deployment}\nsecretGenerator:\n- name: s\n  type: t\n  literals: [a=b]\n";
        let file = Kustomization::parse(text, UnknownFields::Refuse).unwrap();
        let written = file.to_yaml();
        let again = Kustomization::parse(&written, UnknownFields::Refuse).unwrap();
        assert_eq!(again, file);
        let order: Vec<_> = written.lines().filter(|l| !l.starts_with([' ', '-'])).collect();
        assert_eq!(
            order,
            [
                "kind: Kustomization",
                "resources:",
                "namespace: ns",
                "labels:",
                "patches:",
                "secretGenerator:",
                "images:"
            ]
        );
    }

    #[test]
    fn every_field_has_a_place() {
        let all = Kustomization::parse(
            "apiVersion: a\nkind: b\nmetadata: {name: x}\nsortOptions: {order: fifo}\nopenapi: {path: x}\nhelmGlobals: {chartHome: x}",
            UnknownFields::Refuse,
        )
        .unwrap();
        let written = serde_json::to_value(&all).unwrap();
        for key in written.as_object().unwrap().keys() {
            assert!(ORDER.contains(&key.as_str()), "{key}");
        }
    }
}
