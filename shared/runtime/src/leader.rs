//! Leader election by a Lease, as client-go does it: only locally observed time counts, never another machine's clock.

use crate::flags::Common;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Client;
use kube::api::{Api, PostParams};
use sha2::{Digest, Sha256};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// The lease of a controller: `<name>-leader-election`, for a shard with `-` and 8 hex digits of its selector's sha256.
pub fn lease_name(controller: &str, selector: &str) -> String {
    if selector.is_empty() {
        return format!("{controller}-leader-election");
    }
    let hash = hex::encode(Sha256::digest(selector.as_bytes()));
    format!("{controller}-leader-election-{}", &hash[..8])
}

/// Takes part in the election for one lease.
#[derive(Clone, Debug)]
pub struct Election {
    api: Api<Lease>,
    name: String,
    identity: String,
    lease: Duration,
    renew_deadline: Duration,
    retry: Duration,
}

/// The state of a lease as last seen, and when it was seen to change.
#[derive(Debug)]
struct Observed {
    spec: LeaseSpec,
    at: Instant,
}

impl Election {
    /// A candidate with an identity of its own, in the controller's namespace.
    pub fn new(client: &Client, lease: &str, flags: &Common) -> Self {
        let host = hostname();
        Self {
            api: Api::namespaced(client.clone(), &flags.runtime_namespace),
            name: lease.to_owned(),
            identity: format!("{host}_{}", uuid::Uuid::new_v4()),
            lease: flags.leader_election_lease_duration,
            renew_deadline: flags.leader_election_renew_deadline,
            retry: flags.leader_election_retry_period,
        }
    }

    /// Waits until the lease is ours, and renews it from then on.
    pub async fn acquire(self) -> Held {
        info!(lease = self.name, "attempting to acquire leader lease");
        let mut observed = None;
        loop {
            match self.try_hold(&mut observed).await {
                Ok(true) => break,
                Ok(false) => debug!(lease = self.name, "another instance leads"),
                Err(err) => {
                    warn!(lease = self.name, error = %crate::telemetry::chain(&err), "cannot acquire leader lease")
                }
            }
            tokio::time::sleep(crate::controller::jittered(self.retry, 20)).await;
        }
        info!(lease = self.name, "successfully acquired lease");
        let (lost, stop) = (CancellationToken::new(), CancellationToken::new());
        let renewal = tokio::spawn({
            let (election, lost, stop) = (self.clone(), lost.clone(), stop.clone());
            async move { election.renew(observed, lost, stop).await }
        });
        Held { election: self, lost, stop, renewal }
    }

    async fn renew(self, mut observed: Option<Observed>, lost: CancellationToken, stop: CancellationToken) {
        let _guard = lost.drop_guard();
        let mut renewed = Instant::now();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.retry) => {}
            }
            let left = self.renew_deadline.saturating_sub(renewed.elapsed());
            match tokio::time::timeout(left, self.try_hold(&mut observed)).await {
                Ok(Ok(true)) => renewed = Instant::now(),
                Ok(Ok(false)) => {
                    warn!(lease = self.name, "another instance took the leader lease");
                    return;
                }
                Ok(Err(err)) if renewed.elapsed() < self.renew_deadline => {
                    warn!(lease = self.name, error = %crate::telemetry::chain(&err), "cannot renew leader lease");
                }
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }

    /// Creates, takes or renews the lease. `false` while somebody else holds it.
    async fn try_hold(&self, observed: &mut Option<Observed>) -> kube::Result<bool> {
        let now = MicroTime(Timestamp::now());
        let Some(mut lease) = self.api.get_opt(&self.name).await? else {
            let lease = Lease {
                metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
                spec: Some(self.spec(now.clone(), now, 0)),
            };
            return match self.api.create(&PostParams::default(), &lease).await {
                Ok(created) => {
                    self.observe(observed, created.spec.unwrap_or_default());
                    Ok(true)
                }
                Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
                Err(err) => Err(err),
            };
        };
        let spec = lease.spec.take().unwrap_or_default();
        self.observe(observed, spec.clone());
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        let ours = holder == self.identity;
        let theirs_for =
            Duration::from_secs(spec.lease_duration_seconds.and_then(|s| u64::try_from(s).ok()).unwrap_or(0));
        let fresh = observed.as_ref().is_some_and(|o| o.at.elapsed() < theirs_for);
        if !ours && !holder.is_empty() && fresh {
            return Ok(false);
        }
        let transitions = spec.lease_transitions.unwrap_or(0);
        lease.spec = Some(if ours {
            self.spec(spec.acquire_time.unwrap_or_else(|| now.clone()), now, transitions)
        } else {
            self.spec(now.clone(), now, transitions.saturating_add(1))
        });
        // The resourceVersion in the metadata makes this a compare-and-swap.
        match self.api.replace(&self.name, &PostParams::default(), &lease).await {
            Ok(replaced) => {
                self.observe(observed, replaced.spec.unwrap_or_default());
                Ok(true)
            }
            Err(kube::Error::Api(status)) if status.code == 409 && !ours => Ok(false),
            Err(err) => Err(err),
        }
    }

    fn observe(&self, observed: &mut Option<Observed>, spec: LeaseSpec) {
        if observed.as_ref().is_none_or(|o| o.spec != spec) {
            *observed = Some(Observed { spec, at: Instant::now() });
        }
    }

    fn spec(&self, acquired: MicroTime, renewed: MicroTime, transitions: i32) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(i32::try_from(self.lease.as_secs().max(1)).unwrap_or(i32::MAX)),
            acquire_time: Some(acquired),
            renew_time: Some(renewed),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }
    }

    /// Gives the lease up, so that the next instance need not wait for its end.
    async fn release(&self) -> kube::Result<()> {
        let Some(mut lease) = self.api.get_opt(&self.name).await? else { return Ok(()) };
        let spec = lease.spec.take().unwrap_or_default();
        if spec.holder_identity.as_deref() != Some(&self.identity) {
            return Ok(());
        }
        let now = MicroTime(Timestamp::now());
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(1),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            lease_transitions: spec.lease_transitions,
            ..LeaseSpec::default()
        });
        self.api.replace(&self.name, &PostParams::default(), &lease).await.map(drop)
    }
}

/// A lease that is held and renewed in the background.
#[derive(Debug)]
pub struct Held {
    election: Election,
    lost: CancellationToken,
    stop: CancellationToken,
    renewal: tokio::task::JoinHandle<()>,
}

impl Held {
    /// Waits until the lease could not be renewed in time: all work must end then.
    pub async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Stops renewing, and gives the lease up if `release` says so.
    pub async fn end(self, release: bool) {
        let lost = self.lost.is_cancelled();
        self.stop.cancel();
        // A panic in the renewal has been reported as a lost lease.
        let _ = self.renewal.await;
        if !release || lost {
            return;
        }
        match tokio::time::timeout(Duration::from_secs(5), self.election.release()).await {
            Ok(Ok(())) => info!(lease = self.election.name, "released leader lease"),
            Ok(Err(err)) => {
                warn!(lease = self.election.name, error = %crate::telemetry::chain(&err), "cannot release leader lease");
            }
            Err(_) => warn!(lease = self.election.name, "cannot release leader lease in time"),
        }
    }
}

/// The machine's name, which is the pod's name in a cluster.
pub(crate) fn hostname() -> String {
    std::env::var("HOSTNAME")
        .ok()
        .or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{client, failure};
    use parking_lot::Mutex;
    use serde_json::Value;
    use std::sync::Arc;

    /// One lease with compare-and-swap; `None` in the second field makes the server fail.
    #[derive(Default)]
    struct Server {
        lease: Mutex<Option<Value>>,
        broken: Mutex<bool>,
    }

    fn connect(server: &Arc<Server>) -> Client {
        let server = server.clone();
        client(move |seen| {
            if *server.broken.lock() {
                return Some(failure(500, "InternalError"));
            }
            let mut lease = server.lease.lock();
            let version =
                |value: &Value| value["metadata"]["resourceVersion"].as_str().unwrap_or("0").to_owned();
            match (seen.method.as_str(), lease.clone()) {
                ("GET", Some(lease)) => Some((200, lease)),
                ("GET", None) => Some(failure(404, "NotFound")),
                ("PUT", Some(old)) if version(&old) != version(&seen.body) => Some(failure(409, "Conflict")),
                ("POST", Some(_)) => Some(failure(409, "AlreadyExists")),
                (_, old) => {
                    let mut new = seen.body;
                    let next = old.map_or(1, |old| version(&old).parse::<u64>().unwrap() + 1);
                    new["metadata"]["resourceVersion"] = next.to_string().into();
                    *lease = Some(new.clone());
                    Some((200, new))
                }
            }
        })
    }

    fn election(server: &Arc<Server>) -> Election {
        Election::new(&connect(server), "x-leader-election", &Common::default())
    }

    fn holder(server: &Server) -> String {
        server.lease.lock().as_ref().unwrap()["spec"]["holderIdentity"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    #[test]
    fn shards_have_leases_of_their_own() {
        assert_eq!(lease_name("source-controller", ""), "source-controller-leader-election");
        let name = lease_name("source-controller", "sharding.fluxcd.io/key=shard1");
        let hash = name.strip_prefix("source-controller-leader-election-").unwrap();
        assert!(hash.len() == 8 && hash.chars().all(|c| c.is_ascii_hexdigit()), "{name}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_waits_until_the_first_lets_go() {
        let server = Arc::new(Server::default());
        let (first, second) = (election(&server), election(&server));
        let names = (first.identity.clone(), second.identity.clone());
        let held = first.acquire().await;
        let waiting = tokio::spawn(second.acquire());
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(holder(&server), names.0, "renewed for as long as it runs");
        let released = Instant::now();
        held.end(true).await;
        let held = waiting.await.unwrap();
        assert_eq!(holder(&server), names.1);
        assert!(released.elapsed() < Duration::from_secs(10), "without waiting for the end of the lease");
        held.end(false).await;
        assert_eq!(holder(&server), names.1, "kept where release is off");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_cannot_be_renewed_is_lost_before_others_may_take_it() {
        let server = Arc::new(Server::default());
        let held = election(&server).acquire().await;
        *server.broken.lock() = true;
        let begun = Instant::now();
        held.lost().await;
        let lost_after = begun.elapsed();
        assert!(
            lost_after <= Duration::from_secs(35) && lost_after >= Duration::from_secs(20),
            "{lost_after:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_leader_is_replaced_after_the_lease() {
        let server = Arc::new(Server::default());
        let dead = election(&server);
        assert!(dead.try_hold(&mut None).await.unwrap());
        let begun = Instant::now();
        let held = election(&server).acquire().await;
        assert!(begun.elapsed() >= Duration::from_secs(35), "not before the lease ends by our own clock");
        assert_eq!(server.lease.lock().as_ref().unwrap()["spec"]["leaseTransitions"], 1);
        held.end(true).await;
    }
}
