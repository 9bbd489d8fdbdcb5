//! `.Capabilities` as templates see it: pointers and structs of Go, with their methods.

use std::any::Any;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use sluice_gotemplate::call::{Args, Signature};
use sluice_gotemplate::value::NamedType;
use sluice_gotemplate::{Context, Error, Field, Kind, List, Object, Str, Type, Value};

use crate::Capabilities;

static CAPABILITIES: NamedType = NamedType { name: "*common.Capabilities", kind: Kind::Ptr };
static KUBE_VERSION: NamedType = NamedType { name: "common.KubeVersion", kind: Kind::Struct };
static VERSION_SET: NamedType = NamedType { name: "common.VersionSet", kind: Kind::Slice };
static BUILD_INFO: NamedType = NamedType { name: "version.BuildInfo", kind: Kind::Struct };
static NOTHING: Signature = Signature::fixed(&[]);
static ONE_STRING: Signature = Signature::fixed(&[Type::String]);

/// `.Capabilities`.
#[derive(Debug)]
pub(super) struct Root(pub(super) Arc<Capabilities>);

impl Root {
    fn fields(&self) -> [(&'static str, Value); 3] {
        [
            ("KubeVersion", Value::object(KubeVersion(Arc::clone(&self.0)))),
            ("APIVersions", Value::object(VersionSet(Arc::clone(&self.0)))),
            ("HelmVersion", Value::object(BuildInfo(Arc::clone(&self.0)))),
        ]
    }
}

impl Object for Root {
    fn go_type(&self) -> &'static NamedType {
        &CAPABILITIES
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn field(&self, name: &str) -> Field {
        match name {
            "KubeVersion" => Field::Value(Value::object(KubeVersion(Arc::clone(&self.0)))),
            "APIVersions" => Field::Value(Value::object(VersionSet(Arc::clone(&self.0)))),
            "HelmVersion" => Field::Value(Value::object(BuildInfo(Arc::clone(&self.0)))),
            _ => Field::None,
        }
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        Root::fields(self).into()
    }

    fn method(&self, name: &str) -> Option<&'static Signature> {
        (name == "Copy").then_some(&NOTHING)
    }

    fn call(&self, _: &str, _: &Context<'_>, _: &Args) -> Result<Value, Error> {
        Ok(Value::object(Root(Arc::clone(&self.0))))
    }

    fn to_json(&self) -> Result<Json, String> {
        Ok(json!({
            "APIVersions": self.0.api_versions,
            "HelmVersion": BuildInfo(Arc::clone(&self.0)).to_json()?,
            "KubeVersion": KubeVersion(Arc::clone(&self.0)).to_json()?,
        }))
    }
}

/// A version of Kubernetes: a struct whose methods belong to its pointer.
#[derive(Debug)]
struct KubeVersion(Arc<Capabilities>);

impl Object for KubeVersion {
    fn go_type(&self) -> &'static NamedType {
        &KUBE_VERSION
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn method(&self, name: &str) -> Option<&'static Signature> {
        matches!(name, "String" | "GitVersion").then_some(&NOTHING)
    }

    fn call(&self, name: &str, _: &Context<'_>, _: &Args) -> Result<Value, Error> {
        let version = &self.0.kube_version;
        Ok(Value::from(if name == "String" { version.comparable() } else { &version.version }))
    }

    fn field(&self, name: &str) -> Field {
        let version = &self.0.kube_version;
        match name {
            "Version" => Field::Value(version.version.as_str().into()),
            "Major" => Field::Value(version.major.as_str().into()),
            "Minor" => Field::Value(version.minor.as_str().into()),
            "normalizedVersion" => Field::Unexported,
            _ => Field::None,
        }
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        let version = &self.0.kube_version;
        vec![
            ("Version", version.version.as_str().into()),
            ("normalizedVersion", version.normalized.as_deref().unwrap_or_default().into()),
            ("Major", version.major.as_str().into()),
            ("Minor", version.minor.as_str().into()),
        ]
    }

    fn pointer_text(&self) -> Option<Str> {
        Some(self.0.kube_version.comparable().into())
    }

    fn equals(&self, other: &dyn Object) -> Option<bool> {
        let other = other.as_any().downcast_ref::<Self>();
        Some(other.is_some_and(|other| self.0.kube_version == other.0.kube_version))
    }

    fn to_json(&self) -> Result<Json, String> {
        let version = &self.0.kube_version;
        Ok(json!({ "Major": version.major, "Minor": version.minor, "Version": version.version }))
    }
}

/// The APIs that the cluster has.
#[derive(Debug)]
struct VersionSet(Arc<Capabilities>);

impl Object for VersionSet {
    fn go_type(&self) -> &'static NamedType {
        &VERSION_SET
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn method(&self, name: &str) -> Option<&'static Signature> {
        (name == "Has").then_some(&ONE_STRING)
    }

    fn call(&self, _: &str, _: &Context<'_>, args: &Args) -> Result<Value, Error> {
        let wanted = args.string(0)?;
        Ok(Value::Bool(self.0.api_versions.iter().any(|version| version.as_bytes() == wanted.as_bytes())))
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::List(List::strings(self.0.api_versions.iter().map(String::as_str))))
    }

    fn equals(&self, _: &dyn Object) -> Option<bool> {
        None
    }

    fn to_json(&self) -> Result<Json, String> {
        Ok(json!(self.0.api_versions))
    }
}

/// What Helm says of itself.
#[derive(Debug)]
struct BuildInfo(Arc<Capabilities>);

impl BuildInfo {
    fn pairs(&self) -> [(&'static str, &'static str, &str); 5] {
        let helm = &self.0.helm_version;
        [
            ("Version", "version", &helm.version),
            ("GitCommit", "git_commit", &helm.git_commit),
            ("GitTreeState", "git_tree_state", &helm.git_tree_state),
            ("GoVersion", "go_version", &helm.go_version),
            ("KubeClientVersion", "kube_client_version", &helm.kube_client_version),
        ]
    }
}

impl Object for BuildInfo {
    fn go_type(&self) -> &'static NamedType {
        &BUILD_INFO
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn field(&self, name: &str) -> Field {
        let pair = self.pairs().into_iter().find(|(field, ..)| *field == name);
        pair.map_or(Field::None, |(.., value)| Field::Value(value.into()))
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        self.pairs().into_iter().map(|(field, _, value)| (field, value.into())).collect()
    }

    fn equals(&self, other: &dyn Object) -> Option<bool> {
        let other = other.as_any().downcast_ref::<Self>();
        Some(other.is_some_and(|other| self.0.helm_version == other.0.helm_version))
    }

    fn to_json(&self) -> Result<Json, String> {
        let kept = |(_, key, value): (&str, &str, &str)| {
            (!value.is_empty() || key == "kube_client_version").then(|| (key.to_owned(), Json::from(value)))
        };
        Ok(Json::Object(self.pairs().into_iter().filter_map(kept).collect()))
    }
}
