//! A real Kubernetes control plane on this machine: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, and
//! kwok in the place of the nodes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kube::Client;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use serde_json::json;
use tokio::process::Command;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::cluster::{apply, connect};
use crate::ports::free_port;
use crate::{Process, eventually, oracle};

/// One at a time in a test binary: two control planes on two cores only slow each other down.
static TURN: Semaphore = Semaphore::const_new(1);

/// The administrator's token.
const TOKEN: &str = "sluice-tests-admin";
/// What kube-controller-manager does here. The rest needs a cloud, real storage or metrics.
const CONTROLLERS: &str = "clusterrole-aggregation-controller,cronjob-controller,daemonset-controller,deployment-controller,\
    endpoints-controller,endpointslice-controller,garbage-collector-controller,job-controller,namespace-controller,node-lifecycle-controller,\
    persistentvolume-binder-controller,persistentvolume-protection-controller,persistentvolumeclaim-protection-controller,\
    pod-garbage-collector-controller,replicaset-controller,root-ca-certificate-publisher-controller,\
    serviceaccount-controller,statefulset-controller,ttl-after-finished-controller";
const NODES: usize = 2;

/// The processes and files of a control plane.
pub(crate) struct ControlPlane {
    folder: PathBuf,
    port: u16,
    etcd: Process,
    apiserver: tokio::sync::Mutex<Process>,
    /// kube-controller-manager, kube-scheduler and kwok.
    others: Vec<Process>,
    _turn: SemaphorePermit<'static>,
}

impl ControlPlane {
    /// Starts all processes with their files in `folder`, waits until a pod could run, and returns the kubeconfig.
    pub(crate) async fn start(folder: &Path) -> Result<(Self, PathBuf)> {
        let turn = TURN.acquire().await?;
        let folder = folder.join("control-plane");
        fs::create_dir_all(&folder)?;
        write_keys(&folder)?;
        fs::write(folder.join("tokens.csv"), format!("{TOKEN},admin,admin,system:masters\n"))?;
        fs::write(
            folder.join("audit.yaml"),
            "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [ResponseStarted, ResponseComplete]\nrules: [{level: Metadata}]\n",
        )?;
        let (etcd, endpoint) = start_etcd(&folder)?;
        let port = free_port()?;
        fs::write(folder.join("etcd-endpoint"), &endpoint)?;
        let kubeconfig = folder.join("kubeconfig");
        fs::write(&kubeconfig, render_kubeconfig(port, &folder.join("ca.crt"))?)?;
        let apiserver = start_apiserver(&folder, port, &endpoint)?;
        let mut plane = Self {
            folder,
            port,
            etcd,
            apiserver: tokio::sync::Mutex::new(apiserver),
            others: Vec::new(),
            _turn: turn,
        };
        let client = connect(&kubeconfig).await?;
        plane.answers(&client).await?;
        plane.others = start_others(&plane.folder, &kubeconfig)?;
        make_nodes(&client).await?;
        plane.check().await?;
        Ok((plane, kubeconfig))
    }

    /// Waits until kube-apiserver says that it is ready.
    pub(crate) async fn answers(&self, client: &Client) -> Result<()> {
        eventually("kube-apiserver to be ready", async || {
            self.check().await?;
            let request = http::Request::get("/readyz").body(Vec::new())?;
            Ok(client.request_text(request).await.is_ok().then_some(()))
        })
        .await
    }

    /// Fails when a process has ended by itself.
    pub(crate) async fn check(&self) -> Result<()> {
        self.etcd.check()?;
        self.apiserver.lock().await.check()?;
        self.others.iter().try_for_each(Process::check)
    }

    /// Kills kube-apiserver.
    pub(crate) async fn suspend(&self) -> Result<()> {
        self.apiserver.lock().await.kill().await
    }

    /// Starts kube-apiserver again, on the port that it had.
    pub(crate) async fn resume(&self, client: &Client) -> Result<()> {
        let endpoint = fs::read_to_string(self.folder.join("etcd-endpoint"))?;
        *self.apiserver.lock().await = start_apiserver(&self.folder, self.port, &endpoint)?;
        self.answers(client).await
    }

    /// The audit log: one JSON object per request.
    pub(crate) fn audit_log(&self) -> PathBuf {
        self.folder.join("audit.log")
    }

    /// The process ids, by name, for measurements.
    pub(crate) async fn processes(&self) -> Vec<(String, u32)> {
        let apiserver = self.apiserver.lock().await;
        let all = [&self.etcd, &*apiserver].into_iter().chain(&self.others);
        all.map(|process| (process.name().to_owned(), process.pid())).collect()
    }

    /// The ends of all logs.
    pub(crate) async fn logs(&self) -> String {
        let apiserver = self.apiserver.lock().await;
        let all = [&self.etcd, &*apiserver].into_iter().chain(&self.others);
        all.map(|process| format!("--- {}\n{}\n", process.name(), process.tail())).collect()
    }

    /// Ends everything; the data goes with the folder.
    pub(crate) async fn stop(self) -> Result<()> {
        for process in self.others.iter().rev() {
            process.kill().await?;
        }
        self.apiserver.lock().await.kill().await?;
        self.etcd.kill().await
    }
}

/// Makes an authority, a server certificate and the key that signs tokens of ServiceAccounts.
fn write_keys(folder: &Path) -> Result<()> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "kubernetes");
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let ca_pem = ca.self_signed(&ca_key)?.pem();
    let issuer = Issuer::new(ca, ca_key);
    let names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
    let mut server = CertificateParams::new(names.map(str::to_owned).to_vec())?;
    server.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
    let key = KeyPair::generate()?;
    let certificate = server.signed_by(&key, &issuer)?;
    let tokens = KeyPair::generate()?;
    for (name, content) in [
        ("ca.crt", ca_pem),
        ("server.crt", certificate.pem()),
        ("server.key", key.serialize_pem()),
        ("tokens.key", tokens.serialize_pem()),
        ("tokens.pub", tokens.public_key_pem()),
    ] {
        fs::write(folder.join(name), content).with_context(|| format!("cannot write {name}"))?;
    }
    Ok(())
}

fn render_kubeconfig(port: u16, ca: &Path) -> Result<String> {
    Ok(sluice_yaml::to_string(&json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "real", "cluster": {
            "server": format!("https://127.0.0.1:{port}"), "certificate-authority": ca.to_string_lossy()}}],
        "users": [{"name": "admin", "user": {"token": TOKEN}}],
        "contexts": [{"name": "real", "context": {"cluster": "real", "user": "admin"}}],
        "current-context": "real",
    })))
}

/// Starts etcd, without fsync: the data is as short-lived as the test.
fn start_etcd(folder: &Path) -> Result<(Process, String)> {
    let endpoint = format!("http://127.0.0.1:{}", free_port()?);
    let peer = format!("http://127.0.0.1:{}", free_port()?);
    let mut command = Command::new(oracle::find("etcd")?);
    command
        .args(["--unsafe-no-fsync", "--log-level=warn", "--name=default"])
        .arg("--data-dir")
        .arg(folder.join("etcd"))
        .args(["--listen-client-urls", &endpoint, "--advertise-client-urls", &endpoint])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("default={peer}")]);
    Ok((Process::start("etcd", command, folder)?, endpoint))
}

fn start_apiserver(folder: &Path, port: u16, etcd: &str) -> Result<Process> {
    let file = |flag: &str, name: &str| format!("{flag}={}", folder.join(name).display());
    let mut command = Command::new(oracle::find("kube-apiserver")?);
    command
        .arg(format!("--etcd-servers={etcd}"))
        .arg(format!("--secure-port={port}"))
        .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--allow-privileged=true"])
        .arg(file("--tls-cert-file", "server.crt"))
        .arg(file("--tls-private-key-file", "server.key"))
        .arg(file("--token-auth-file", "tokens.csv"))
        .arg(file("--service-account-key-file", "tokens.pub"))
        .arg(file("--service-account-signing-key-file", "tokens.key"))
        .arg(file("--cert-dir", "certs"))
        .args(["--service-account-issuer=https://kubernetes.default.svc", "--authorization-mode=RBAC"])
        .args(["--service-cluster-ip-range=10.0.0.0/16", "--enable-priority-and-fairness=false"])
        .args(["--max-requests-inflight=0", "--max-mutating-requests-inflight=0"])
        .arg(file("--audit-policy-file", "audit.yaml"))
        .arg(file("--audit-log-path", "audit.log"))
        .arg("--audit-log-mode=blocking");
    Process::start("kube-apiserver", command, folder)
}

fn start_others(folder: &Path, kubeconfig: &Path) -> Result<Vec<Process>> {
    let mut manager = Command::new(oracle::find("kube-controller-manager")?);
    manager
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .arg("--root-ca-file")
        .arg(folder.join("ca.crt"))
        .args(["--leader-elect=false", "--use-service-account-credentials=false", "--secure-port=0"])
        .args(["--kube-api-qps=1000", "--kube-api-burst=1000", "--concurrent-deployment-syncs=20"])
        .args(["--concurrent-namespace-syncs=20", "--concurrent-gc-syncs=20"])
        // kwok's nodes send no heartbeats: a run of more than 40 seconds would lose them, and with them every ready pod.
        .arg("--node-monitor-grace-period=24h")
        .arg(format!("--controllers={CONTROLLERS}"));
    let mut scheduler = Command::new(oracle::find("kube-scheduler")?);
    scheduler.arg("--kubeconfig").arg(kubeconfig).args([
        "--leader-elect=false",
        "--secure-port=0",
        "--kube-api-qps=1000",
        "--kube-api-burst=1000",
    ]);
    let mut kwok = Command::new(oracle::find("kwok")?);
    kwok.arg("--kubeconfig")
        .arg(kubeconfig)
        .arg("--config")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("controlplane/kwok.yaml"))
        .args(["--manage-all-nodes=true", "--server-address=127.0.0.1:0"]);
    Ok(vec![
        Process::start("kube-controller-manager", manager, folder)?,
        Process::start("kube-scheduler", scheduler, folder)?,
        Process::start("kwok", kwok, folder)?,
    ])
}

/// Makes the nodes, and waits until the default ServiceAccount is there, without which no pod is admitted.
async fn make_nodes(client: &Client) -> Result<()> {
    for index in 0..NODES {
        let name = format!("node-{index}");
        apply(
            client,
            &json!({"apiVersion": "v1", "kind": "Node", "metadata": {
            "name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}}}),
        )
        .await?;
    }
    let accounts: kube::Api<k8s_openapi::api::core::v1::ServiceAccount> =
        kube::Api::namespaced(client.clone(), "default");
    let nodes: kube::Api<k8s_openapi::api::core::v1::Node> = kube::Api::all(client.clone());
    eventually("the nodes and the default ServiceAccount", async || {
        let ready = nodes.list(&Default::default()).await?.items.iter().all(|node| {
            node.status
                .iter()
                .flat_map(|status| status.conditions.iter().flatten())
                .any(|condition| condition.type_ == "Ready" && condition.status == "True")
        });
        Ok((ready && accounts.get_opt("default").await?.is_some()).then_some(()))
    })
    .await
}
