//! Git servers that fail in every way, and what stands in the way of reaching them.

use anyhow::{Context, Result};
use serde_json::json;
use sluice_git::testing::{Fault, GitServer, Options, Repository};
use sluice_tests::flux;

use crate::world::{Case, Expect, GOOD, World};

const USER: &str = "flux";
const PASSWORD: &str = "correct-horse-battery";
const WRONG: &str = "hunter2-is-wrong";

/// What happens to a remote repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    RepositoryGone,
    ServerGone,
    WrongPassword,
    NoPassword,
    Hang,
    Unavailable,
    Garbage,
    /// There is a new commit, but its pack ends early.
    CloseMidPack,
    /// There is a new commit, but its pack is noise.
    GarbagePack,
    /// The branch is gone, others are there.
    BranchGone,
    /// All branches are gone.
    Emptied,
}

/// A trouble, the name of its case, and what the message says beside the URL.
const TROUBLES: [(&str, Trouble, &[&str]); 11] = [
    ("repository-gone", Trouble::RepositoryGone, &["repository not found"]),
    ("server-gone", Trouble::ServerGone, &["unable to list remote"]),
    ("wrong-password", Trouble::WrongPassword, &["authentication"]),
    ("no-password", Trouble::NoPassword, &["authentication"]),
    ("hang", Trouble::Hang, &["timed out after 2s"]),
    ("unavailable", Trouble::Unavailable, &["the server answered 503: the server says no"]),
    ("garbage", Trouble::Garbage, &["the answer is not usable"]),
    ("close-mid-pack", Trouble::CloseMidPack, &["unable to clone"]),
    ("garbage-pack", Trouble::GarbagePack, &["unable to clone"]),
    ("branch-gone", Trouble::BranchGone, &["couldn't find remote ref", "refs/heads/main"]),
    ("emptied", Trouble::Emptied, &["git repository is empty"]),
];

/// A repository on a server of its own.
pub(crate) struct Remote {
    name: &'static str,
    trouble: Trouble,
    says: &'static [&'static str],
    server: GitServer,
    repository: Repository,
}

/// A case for each trouble.
pub(crate) async fn cases() -> Vec<Remote> {
    let mut cases = Vec::new();
    for (name, trouble, says) in TROUBLES {
        let server = GitServer::start(Options::basic(USER, PASSWORD)).await;
        let repository = server.repository("app.git");
        fill(&repository);
        repository.commit("Good");
        cases.push(Remote { name, trouble, says, server, repository });
    }
    cases
}

/// Writes the good app.
pub(crate) fn fill(repository: &Repository) {
    for (path, text) in GOOD {
        repository.write(path, text);
    }
}

impl Remote {
    async fn password(&self, world: &World<'_>, password: &str) -> Result<()> {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": self.name, "namespace": flux::NAMESPACE},
            "stringData": {"username": USER, "password": password},
        });
        world.cluster.apply(&secret).await.map(drop)
    }

    fn commit(&self) -> String {
        self.repository.write("app/second.yaml", GOOD[2].1.replace("good", "better"));
        self.repository.commit("Better")
    }
}

impl Case for Remote {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn source_kind(&self) -> &'static str {
        "GitRepository"
    }

    async fn begin(&mut self, world: &World<'_>) -> Result<()> {
        self.password(world, PASSWORD).await?;
        let mut source = flux::git_repository(self.name, &self.server.url("app.git"));
        source["spec"]["secretRef"] = json!({"name": self.name});
        world.cluster.apply(&source).await.map(drop)
    }

    async fn spoil(&mut self, world: &World<'_>) -> Result<Expect> {
        let url = self.server.url("app.git");
        match self.trouble {
            Trouble::RepositoryGone => self.server.remove("app.git"),
            Trouble::ServerGone => {
                // Nobody listens on the port after this.
                self.server = GitServer::start(Options::basic(USER, PASSWORD)).await;
            }
            Trouble::WrongPassword => self.password(world, WRONG).await?,
            Trouble::NoPassword => {
                world.patch("GitRepository", self.name, json!({"spec": {"secretRef": null}})).await?;
            }
            Trouble::Hang => {
                self.server.fault(Fault::Hang);
                world.patch("GitRepository", self.name, json!({"spec": {"timeout": "2s"}})).await?;
            }
            Trouble::Unavailable => self.server.fault(Fault::Status(503)),
            Trouble::Garbage => self.server.fault(Fault::Garbage),
            Trouble::CloseMidPack => {
                self.commit();
                self.server.fault(Fault::CloseMidPack(100));
            }
            Trouble::GarbagePack => {
                self.commit();
                self.server.fault(Fault::GarbagePack);
            }
            Trouble::BranchGone => drop(self.repository.git(&["branch", "--move", "main", "elsewhere"])),
            Trouble::Emptied => drop(self.repository.git(&["update-ref", "-d", "refs/heads/main"])),
        }
        let mut says: Vec<String> = self.says.iter().map(|&part| part.to_owned()).collect();
        if self.trouble != Trouble::Emptied {
            says.push(url);
        }
        let reason = match self.trouble {
            Trouble::Emptied => "EmptyGitRepository",
            _ => "GitOperationFailed",
        };
        Ok(Expect { kind: "GitRepository", reason, says })
    }

    async fn repair(&mut self, world: &World<'_>) -> Result<String> {
        let source = flux::objects(world.cluster, "GitRepository")?.get(self.name).await?;
        for secret in [PASSWORD, WRONG] {
            let shown = serde_json::to_string(&source)?;
            anyhow::ensure!(!shown.contains(secret), "the object shows a password");
        }
        match self.trouble {
            Trouble::RepositoryGone | Trouble::ServerGone => {
                self.repository = self.server.repository("app.git");
                fill(&self.repository);
            }
            Trouble::WrongPassword => self.password(world, PASSWORD).await?,
            Trouble::BranchGone => drop(self.repository.git(&["branch", "--move", "elsewhere", "main"])),
            _ => self.server.fault(Fault::None),
        }
        let commit = self.commit();
        let spec = json!({"spec": {
            "url": self.server.url("app.git"), "timeout": "20s", "secretRef": {"name": self.name},
        }});
        world.patch("GitRepository", self.name, spec).await.context("the source")?;
        Ok(commit)
    }
}
