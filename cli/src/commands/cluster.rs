//! `cluster start`: the embedded API server, until interrupted.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use sluice_simulator::{Options, Server};

use crate::arguments::ClusterStartOptions;
use crate::failure::{advised, from_api};
use crate::talk;

/// Runs the server; its kubeconfig goes to `file`, or to a temporary file that is removed at the end.
///
/// # Errors
/// Where the address is taken, or the kubeconfig cannot be written or is someone else's.
pub(crate) async fn start(options: ClusterStartOptions, file: Option<PathBuf>) -> Result<()> {
    let server_options = Options { listen: options.listen, nodes: options.nodes, ..Options::default() };
    let folder =
        tempfile::Builder::new().prefix("sluice-cluster-").tempdir().context("cannot create a folder")?;
    let file = file.unwrap_or_else(|| folder.path().join("kubeconfig"));
    refuse_to_overwrite(&file, &server_options.name)?;

    let shutdown = sluice_runtime::process::shutdown_on_signal()?;
    let server = Server::start(server_options).await.context("cannot start the API server")?;
    server.write_kubeconfig(&file).with_context(|| format!("cannot write {}", file.display()))?;
    if options.crds {
        install(&server).await.context("cannot install the CRDs")?;
    }
    talk::success(&format!("API server at {}", server.url()));
    talk::waiting("running until interrupted (Ctrl-C); reach it with the KUBECONFIG printed here");
    talk::data(&format!("export KUBECONFIG={}\n", shell_word(&file.display().to_string())))?;
    shutdown.cancelled().await;
    server.stop().await;
    Ok(())
}

/// Lets a kubeconfig of an earlier run go, and no other file that says something.
fn refuse_to_overwrite(file: &Path, cluster: &str) -> Result<()> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    let is_ours = text.trim().is_empty()
        || Kubeconfig::from_yaml(&text).is_ok_and(|config| {
            !config.clusters.is_empty() && config.clusters.iter().all(|named| named.name == cluster)
        });
    if is_ours {
        return Ok(());
    }
    Err(advised(
        format!("{} is there already and belongs to something else", file.display()),
        "name a new file with --kubeconfig; the kubeconfig of the embedded server is written to it",
    ))
}

async fn install(server: &Server) -> Result<()> {
    let kubeconfig = Kubeconfig::from_yaml(&server.kubeconfig())?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let api: Api<CustomResourceDefinition> = Api::all(kube::Client::try_from(config)?);
    for crd in sluice_api::crds() {
        let name = crd.metadata.name.clone().unwrap_or_default();
        api.patch(&name, &PatchParams::apply("sluice").force(), &Patch::Apply(&crd))
            .await
            .map_err(from_api)?;
    }
    Ok(())
}

/// A text as one word of a shell.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overwrites_only_its_own_kubeconfig() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kubeconfig");
        refuse_to_overwrite(&file, "sluice").unwrap();
        let config = |name: &str| {
            format!(
                "apiVersion: v1\nkind: Config\nclusters:\n- name: {name}\n  cluster: {{server: 'https://x'}}\n"
            )
        };
        for (text, is_ours) in [
            (String::new(), true),
            (config("sluice"), true),
            (config("production"), false),
            ("notes".to_owned(), false),
        ] {
            std::fs::write(&file, &text).unwrap();
            assert_eq!(refuse_to_overwrite(&file, "sluice").is_ok(), is_ours, "{text}");
        }
    }

    #[test]
    fn paths_are_quoted_for_the_shell_where_needed() {
        assert_eq!(shell_word("/tmp/a-b.c"), "/tmp/a-b.c");
        assert_eq!(shell_word("/tmp/it's here"), r"'/tmp/it'\''s here'");
    }
}
