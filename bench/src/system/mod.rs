//! Starts a server and two controllers, runs the phases, prints a table.

mod cluster;
mod process;
mod requests;
mod table;
mod workload;

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use tokio::io::AsyncReadExt;

use cluster::{Bench, Version};
use process::{Process, Usage};
use requests::{Counts, RequestLog};
use sluice_tests::Cluster;
use workload::Workload;

/// What to measure.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Cluster to use; without it an embedded API server is started as a process of its own
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// Start kube-apiserver with all that belongs to it, from the binaries of `tests/controlplane/build`
    #[arg(long, conflicts_with = "kubeconfig")]
    real: bool,
    /// The source-controller to measure
    #[arg(long)]
    source_controller: PathBuf,
    /// The kustomize-controller to measure
    #[arg(long, required_unless_present = "helm_controller")]
    kustomize_controller: Option<PathBuf>,
    /// The helm-controller to measure, with releases of a chart instead of Kustomizations
    #[arg(long, conflicts_with = "kustomize_controller")]
    helm_controller: Option<PathBuf>,
    /// Applications, of four objects each
    #[arg(long, default_value_t = 200)]
    apps: usize,
    /// Requests in flight when objects are applied directly, and when custom resources are written
    #[arg(long, default_value_t = 8)]
    concurrent: usize,
    /// Further argument for both controllers, such as `--concurrent=10`; can be given several times
    #[arg(long = "arg", allow_hyphen_values = true)]
    arguments: Vec<String>,
    /// Longest time of a phase in seconds
    #[arg(long, default_value_t = 600)]
    timeout: u64,
    /// Time in seconds that processes are left alone before their idle memory is read
    #[arg(long, default_value_t = 10)]
    idle: u64,
    /// Directory for the logs of the processes; they are lost without it
    #[arg(long)]
    logs: Option<PathBuf>,
}

/// What a phase cost.
struct Phase {
    name: &'static str,
    time: Duration,
    direct: Option<Duration>,
    usage: Vec<Usage>,
    requests: Counts,
}

/// Everything that is measured.
struct System {
    processes: Vec<Process>,
    requests: Requests,
}

/// Where the API server tells of its requests.
enum Requests {
    /// Nowhere: it is somebody else's.
    Unknown,
    Embedded(RequestLog),
    Real(Box<Cluster>),
}

impl Requests {
    /// The requests of the controllers since the last call.
    fn take(&mut self) -> anyhow::Result<Counts> {
        match self {
            Self::Unknown => Ok(Counts::new()),
            Self::Embedded(log) => log.take(),
            Self::Real(cluster) => {
                let mut counts = Counts::new();
                for request in cluster.requests()? {
                    requests::count(&mut counts, &request.verb, &request.uri, &request.user_agent);
                }
                cluster.forget_requests()?;
                Ok(counts)
            }
        }
    }
}

/// Runs the embedded API server until standard input ends, and notes each request in a file.
pub(crate) async fn serve(kubeconfig: &Path, requests: &Path) -> anyhow::Result<()> {
    let log =
        std::fs::File::create(requests).with_context(|| format!("cannot write {}", requests.display()))?;
    let options = sluice_simulator::Options {
        observer: Some(Arc::new(move |request| {
            let line = format!("{} {} {}\n", request.method, request.uri, request.user_agent);
            // A full disk costs the counts, not the measurement.
            let _ = (&log).write_all(line.as_bytes());
        })),
        ..Default::default()
    };
    let server = sluice_simulator::Server::start(options).await?;
    server.write_kubeconfig(kubeconfig).with_context(|| format!("cannot write {}", kubeconfig.display()))?;
    let mut rest = Vec::new();
    tokio::io::stdin().read_to_end(&mut rest).await?;
    server.stop().await;
    Ok(())
}

/// Runs all phases and prints the table.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let dir = tempfile::tempdir().context("cannot make a temporary directory")?;
    let logs = args.logs.clone().unwrap_or_else(|| dir.path().to_owned());
    std::fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
    let (mut system, kubeconfig) = System::start(&args, dir.path(), &logs).await?;
    let timeout = Duration::from_secs(args.timeout);
    let bench = Bench::connect(&kubeconfig, args.apps, args.concurrent, timeout).await?;
    bench.prepare().await?;
    let controllers = [
        ("source-controller", Some(&args.source_controller)),
        ("kustomize-controller", args.kustomize_controller.as_ref()),
        ("helm-controller", args.helm_controller.as_ref()),
    ];
    for (name, binary) in controllers {
        let Some(binary) = binary else { continue };
        let controller = start_controller(name, binary, &args.arguments, &kubeconfig, dir.path(), &logs);
        system.processes.push(controller.await?);
    }
    let idle = || async {
        tokio::time::sleep(Duration::from_secs(args.idle)).await;
        Ok(())
    };
    let mut phases = vec![system.measure("idle", None, idle()).await?];

    let install = system.measure("direct install", None, bench.apply_directly(Version::First)).await?;
    let upgrade = system.measure("direct upgrade", None, bench.apply_directly(Version::Second)).await?;
    let no_op = system.measure("direct no-op", None, bench.apply_directly(Version::Second)).await?;
    let direct = [install.time, upgrade.time, no_op.time];
    phases.extend([install, upgrade, no_op]);

    bench.settled().await?;
    let workload = match &args.helm_controller {
        Some(_) => Workload::releases().await?,
        None => Workload::kustomizations(args.apps).await?,
    };
    phases.push(system.measure("install", Some(direct[0]), workload.install(&bench)).await?);
    phases.push(system.measure("upgrade", Some(direct[1]), workload.upgrade(&bench)).await?);
    phases.push(system.measure("forced no-op", Some(direct[2]), workload.force(&bench)).await?);
    // What is still to be said of the phases before, such as events, is said now.
    phases.push(system.measure("idle", None, idle()).await?);
    table::print(args.apps, &phases)?;
    system.stop().await
}

impl System {
    /// Starts the API server, unless it is somebody else's; gives its kubeconfig.
    async fn start(args: &Args, dir: &Path, logs: &Path) -> anyhow::Result<(Self, PathBuf)> {
        if let Some(kubeconfig) = &args.kubeconfig {
            let system = Self { processes: Vec::new(), requests: Requests::Unknown };
            return Ok((system, kubeconfig.clone()));
        }
        if args.real {
            let cluster = Cluster::real().await?;
            let kubeconfig = cluster.kubeconfig().to_owned();
            let processes = cluster.processes().await;
            let processes = processes.into_iter().map(|(name, pid)| Process::watch(name, pid)).collect();
            return Ok((Self { processes, requests: Requests::Real(Box::new(cluster)) }, kubeconfig));
        }
        let (kubeconfig, requests) = (dir.join("kubeconfig"), dir.join("requests"));
        let server = start_server(&kubeconfig, &requests, logs).await?;
        let requests = Requests::Embedded(RequestLog::new(&requests));
        Ok((Self { processes: vec![server], requests }, kubeconfig))
    }

    /// Runs a phase; reads what each process used of CPU and, at its peak, of memory.
    async fn measure(
        &mut self,
        name: &'static str,
        direct: Option<Duration>,
        phase: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<Phase> {
        table::progress(name)?;
        self.requests.take()?;
        for process in &mut self.processes {
            process.begin()?;
        }
        let start = std::time::Instant::now();
        phase.await.with_context(|| format!("phase {name:?} failed"))?;
        let time = start.elapsed();
        let usage = self.processes.iter_mut().map(Process::usage).collect::<anyhow::Result<_>>()?;
        Ok(Phase { name, time, direct, usage, requests: self.requests.take()? })
    }

    async fn stop(self) -> anyhow::Result<()> {
        for process in self.processes.into_iter().rev() {
            process.stop().await;
        }
        match self.requests {
            Requests::Real(cluster) => cluster.stop().await,
            Requests::Unknown | Requests::Embedded(_) => Ok(()),
        }
    }
}

async fn start_server(kubeconfig: &Path, requests: &Path, logs: &Path) -> anyhow::Result<Process> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut command = tokio::process::Command::new(program);
    command.arg("server").arg("--kubeconfig").arg(kubeconfig).arg("--requests").arg(requests);
    command.stdin(Stdio::piped());
    let mut process = Process::start("API server", command, logs)?;
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while !kubeconfig.exists() {
        process.check()?;
        if std::time::Instant::now() > deadline {
            bail!("the embedded API server did not start within 30 seconds; see {}", logs.display());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(process)
}

/// Starts a controller with Flux's flags on ports that the kernel chose, and waits until it serves its health.
async fn start_controller(
    name: &'static str,
    binary: &Path,
    arguments: &[String],
    kubeconfig: &Path,
    dir: &Path,
    logs: &Path,
) -> anyhow::Result<Process> {
    let health = free_address()?;
    let temporary = dir.join(format!("{name}-tmp"));
    std::fs::create_dir_all(&temporary)?;
    let mut command = tokio::process::Command::new(binary);
    command
        .env("KUBECONFIG", kubeconfig)
        .env("RUNTIME_NAMESPACE", cluster::NAMESPACE)
        .env("TMPDIR", &temporary)
        .arg("--events-addr=")
        .arg("--log-level=info")
        .arg("--enable-leader-election=false")
        .arg(format!("--health-addr={health}"))
        .arg(format!("--metrics-addr={}", free_address()?))
        .stdin(Stdio::null());
    if name == "source-controller" {
        let storage = free_address()?;
        let data = dir.join("data");
        std::fs::create_dir_all(&data)?;
        command
            .arg(format!("--storage-path={}", data.display()))
            .arg(format!("--storage-addr={storage}"))
            .arg(format!("--storage-adv-addr={storage}"));
    }
    command.args(arguments);
    let mut process = Process::start(name, command, logs)?;
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while tokio::net::TcpStream::connect(&health).await.is_err() {
        process.check()?;
        if std::time::Instant::now() > deadline {
            bail!("{name} did not open its health port {health} within 60 seconds; see {}", logs.display());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(process)
}

/// An address that was free a moment ago: other implementations cannot report a port that they chose themselves.
fn free_address() -> anyhow::Result<String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").context("cannot find a free port")?;
    Ok(listener.local_addr()?.to_string())
}
