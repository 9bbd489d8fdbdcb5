//! `lookup`: templates ask the cluster for objects.

use serde_json::{Map, Value};
use sluice_helm::render::{Lookup, name_items};

use super::Cluster;
use super::apis::Served;

impl Lookup for Cluster {
    fn lookup(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> Result<Value, String> {
        let nothing = || Value::Object(Map::new());
        let Some(served) = self.served(api_version, kind)? else { return Ok(nothing()) };
        match self.get(served, namespace, name) {
            Ok(mut found) => {
                if name.is_empty() {
                    name_items(&mut found);
                }
                Ok(found)
            }
            Err(error) if error.is_not_found() => Ok(nothing()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Cluster {
    /// The kind that a template asks for. A version that is not served is an error, a kind that is not is none.
    fn served(&self, api_version: &str, kind: &str) -> Result<Option<&Served>, String> {
        let (group, version) = match api_version.split_once('/') {
            None => ("", api_version),
            Some((_, version)) if version.contains('/') => ("", ""), // Go reads nothing of it
            Some(both) => both,
        };
        if !version.is_empty() && self.apis.has_version(api_version) {
            return Ok(self.apis.find(api_version, kind));
        }
        let problem = match version {
            "" => "groupVersion shouldn't be empty",
            _ => "the server could not find the requested resource",
        };
        Err(format!("unable to get apiresource from unstructured: {group}/{version}, Kind={kind}: {problem}"))
    }
}
