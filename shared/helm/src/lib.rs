//! Helm charts, natively: from chart files and values to manifests, as Helm 4 makes them.
//!
//! A render is a row of pure steps, each in its module:
//!
//! 1. [`chart`]: a folder, an archive or files in memory become a [`Chart`], subcharts included.
//! 2. [`values`]: `-f` files and `--set` arguments become the user's values; later they are laid over the defaults.
//! 3. [`dependencies`]: conditions, tags and aliases decide which subcharts take part: the tree of [`Instance`]s.
//! 4. [`schema`]: the coalesced values are checked against each chart's JSON schema.
//! 5. [`engine`]: all templates are compiled once and executed with the values: [`Rendered`] files.
//! 6. [`manifest`]: the files are split into manifests, hooks, CRDs and notes, and put in order.
//!
//! 7. [`release`]: what was made is a revision, stored in a Secret as Helm stores it.
//!
//! [`Renderer`] ties steps 3 to 5 together: load a chart once, compile it once, render it with many values, from any
//! thread. [`lint`], [`package`] and [`show`] are what the commands of these names need.
//!
//! ```
//! use std::sync::Arc;
//!
//! use sluice_helm::chart::LoadOptions;
//! use sluice_helm::{Chart, ChartFile, Release, RenderOptions, Renderer};
//!
//! let file = |name: &str, text: &'static str| ChartFile { name: name.into(), data: text.into(), modified: None };
//! let files = vec![
//!     file("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n"),
//!     file("templates/x.yaml", "name: {{ .Release.Name }}\n"),
//! ];
//! let renderer = Renderer::new(Arc::new(Chart::from_files(files, &LoadOptions::default())?));
//! let release = Release { name: "web".into(), namespace: "default".into(), revision: 1, is_upgrade: false };
//! let rendered = renderer.render(&release, &serde_json::Map::new(), &RenderOptions::default())?;
//! assert_eq!(rendered.files[0].text, "name: web\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The crate knows nothing of clusters: `lookup` is a trait, empty unless the caller has one. Charts are untrusted:
//! sizes, depths and loops are bounded, and nothing is read outside of the chart's folder unless allowed.

pub mod capabilities;
pub mod chart;
pub mod dependencies;
pub mod engine;
pub mod index;
pub mod lint;
pub mod manifest;
pub mod package;
pub mod release;
pub mod render;
pub mod schema;
pub mod show;
pub mod values;

mod parallel;
mod pattern;
mod text;
mod yaml;

pub use sluice_gotemplate::functions::semver;

pub use capabilities::Capabilities;
pub use chart::{Chart, ChartFile, LoadError, LoadOptions, Metadata};
pub use dependencies::Instance;
pub use render::{LogLine, Release, RenderError, RenderOptions, Rendered, RenderedFile, Renderer};
