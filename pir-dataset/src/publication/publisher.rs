//! The publisher, in its steps: upload, announce, wait for the nodes, and only then the prefilter.

mod deltas;
mod error;

use super::current::Current;
use super::gather::Gathered;
use super::nodes::{Goal, Nodes, NodesError};
use super::release::{Release, ReleaseName};
use super::signed_filter::SignedFiles;
use super::store::{CURRENT, ReleaseStore, ReleaseStoreError, Revision};
use super::trust_error::TrustError;
use crate::progress::{Notice, Phase, Progress, Running, Silent};
use release_signature::{SecretKey, TrustedKeys};
use sha2::{Digest, Sha256};
use std::time::Duration;
use unix_clock::{Clock, SystemClock, Timestamp};

pub use error::PublishError;

/// Releases are at least so far apart.
const SECOND: Duration = Duration::from_secs(1);

/// How much later than announced a release may be served by nodes that cannot be asked.
const MARGIN: Duration = Duration::from_secs(30);
/// Objects of unknown releases are removed when they are older: another publisher may be uploading.
const MIN_AGE: Duration = Duration::from_secs(3600);
/// How long nodes may take to say that they serve a release. Longer means that one was late.
const PUNCTUAL: Duration = Duration::from_secs(5);
/// How often the clock is looked at while waiting for a time.
const TICK: Duration = Duration::from_millis(200);

/// When a release is activated, and how long nodes are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Schedule {
    /// Time until the activation: from when all nodes have the release, or from the announcement if there
    /// are no nodes to ask.
    pub lead: Duration,
    /// How much later than nodes serve a release its prefilter is given out, if devices must fetch a new
    /// configuration: for so long, nodes answer devices that fetch theirs from them from the previous data set. Devices
    /// whose configuration comes from caches may query that one for longer, as long as nodes keep it.
    pub filter_delay: Duration,
    /// How long nodes are waited for.
    pub node_timeout: Duration,
}

impl Schedule {
    /// The defaults: 15 s after nodes are ready, or 120 s if there are none to ask; two minutes until the prefilter
    /// after a new configuration; 10 minutes for nodes.
    #[must_use]
    pub fn new(nodes: &Nodes) -> Self {
        Self {
            lead: Duration::from_secs(if nodes.is_empty() { 120 } else { 15 }),
            filter_delay: Duration::from_secs(120),
            node_timeout: Duration::from_secs(600),
        }
    }

    /// From when on the prefilter of a release may be given out.
    fn filter_at(
        &self,
        activate_at: Timestamp,
        has_previous: bool,
        nodes: &Nodes,
        new_configuration: bool,
    ) -> Timestamp {
        let mut at = activate_at;
        if has_previous && nodes.is_empty() {
            at = at + MARGIN;
        }
        if new_configuration {
            at = at + self.filter_delay;
        }
        at
    }
}

/// A release that is announced with an activation time.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Announced {
    /// The release, as its `release.json` describes it.
    pub release: Release,
    /// When it is activated.
    pub activate_at: Timestamp,
    /// When its prefilter may be given out.
    pub filter_at: Timestamp,
    /// Whether clients must fetch a new configuration.
    pub new_configuration: bool,
}

/// What [`Publisher::publish`] did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Published {
    /// The release, and when nodes switch to it.
    pub announced: Announced,
    /// Objects that were uploaded, without deltas.
    pub uploaded_objects: usize,
    /// Deltas for nodes that have the release before.
    pub deltas: usize,
    /// Whether the release was published before with the same files.
    pub unchanged: bool,
}

/// Publishes releases of one use case at one address.
pub struct Publisher<'p> {
    store: ReleaseStore,
    use_case: String,
    nodes: Nodes,
    schedule: Schedule,
    current: Option<(Current, Revision)>,
    progress: &'p dyn Progress,
    clock: &'p dyn Clock,
    signer: Option<Signer<'p>>,
    trust_current: bool,
}

/// The key that signs, and the trust in it alone.
struct Signer<'p> {
    key: &'p SecretKey,
    keys: TrustedKeys,
}

impl<'p> Publisher<'p> {
    /// Reads what is published at an address.
    ///
    /// # Errors
    /// [`PublishError::OtherUseCase`] if it is of another use case, [`PublishError::Store`].
    pub async fn open(
        store: ReleaseStore,
        use_case: &str,
        nodes: Nodes,
        schedule: Schedule,
    ) -> Result<Self, PublishError> {
        let current = store.current(None).await?;
        if let Some((current, _)) = &current {
            let latest = store.release(&current.release).await?;
            if latest.use_case != use_case {
                let address = store.address().to_owned();
                return Err(PublishError::OtherUseCase { address, use_case: latest.use_case });
            }
        }
        let use_case = use_case.to_owned();
        let (progress, clock) = (&Silent, &SystemClock);
        let (signer, trust_current) = (None, false);
        let publisher = Self {
            store,
            use_case,
            nodes,
            schedule,
            current,
            progress,
            clock,
            signer,
            trust_current,
        };
        Ok(publisher)
    }

    /// Who is told how far the publisher is.
    #[must_use]
    pub fn with_progress(mut self, progress: &'p dyn Progress) -> Self {
        self.progress = progress;
        self
    }

    /// Signs what is published. What is published already must be signed with the same key: a release that
    /// somebody else announced must not be signed by going on from it.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "no panic is possible")]
    pub fn with_key(mut self, key: &'p SecretKey) -> Self {
        let keys = TrustedKeys::new(vec![key.public()]).expect("there is one key");
        self.signer = Some(Signer { key, keys });
        self
    }

    /// Goes on from what is published now, whoever signed it: for the first signed release, another key, and the
    /// first one that is not signed any more.
    #[must_use]
    pub fn with_trust_in_current(mut self, trust: bool) -> Self {
        self.trust_current = trust;
        self
    }

    /// The clock that decides about activation times; by default the machine's.
    #[must_use]
    pub fn with_clock(mut self, clock: &'p dyn Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Uploads and announces a release, unless the release that was announced last has the same files.
    ///
    /// # Errors
    /// [`PublishError::Store`], [`PublishError::Format`] or [`PublishError::NodesNotReady`]. Until the release
    /// is announced, nothing is changed that nodes or apps see.
    pub async fn publish(&mut self, gathered: &Gathered) -> Result<Published, PublishError> {
        self.check_current()?;
        let signed = match &self.signer {
            Some(signer) => SignedFiles::sign(gathered, &self.use_case, signer.key)?,
            None => SignedFiles::unsigned(gathered),
        };
        let is_signed = self.current.as_ref().is_some_and(|(current, _)| current.is_signed());
        if is_signed == self.signer.is_some()
            && self.is_current_signed_here()
            && let Some(announced) = self.last_announced().await?
            && announced.release.files.iter().eq(signed.files.iter().map(|(file, _)| file))
        {
            // Objects that somebody removed, such as damaged ones, are put back.
            let mut uploaded_objects = 0;
            for (file, path) in &signed.files {
                uploaded_objects += usize::from(self.store.put_object(file, path).await?);
            }
            return Ok(Published { announced, uploaded_objects, deltas: 0, unchanged: true });
        }
        let (name, release, uploaded_objects) = self.upload(gathered, &signed).await?;
        let deltas = self.upload_deltas(&release, &signed.files).await;
        let announced = self.announce(name, release, false).await?;
        Ok(Published { announced, uploaded_objects, deltas, unchanged: false })
    }

    /// Announces an earlier release again: the one before the current one, or one by its id.
    ///
    /// # Errors
    /// [`PublishError`], if there is no such release, it is the current one, or as for
    /// [`publish`](Self::publish).
    pub async fn roll_back(&mut self, id: Option<&str>) -> Result<Announced, PublishError> {
        self.check_current()?;
        let (name, release) = self.earlier(id).await?;
        self.announce(name, release, true).await
    }

    /// What the signature of the present announcement says, if this publisher signs.
    fn verified(&self) -> Option<Result<u64, TrustError>> {
        let (signer, (current, _)) = (self.signer.as_ref()?, self.current.as_ref()?);
        let announcement = current.verify(&self.use_case, &signer.keys);
        Some(announcement.map(|announcement| announcement.sequence))
    }

    /// Whether nothing else than the key of this publisher signed the present announcement.
    fn is_current_signed_here(&self) -> bool {
        self.verified().is_none_or(|verified| verified.is_ok())
    }

    /// Nothing is announced in the name of this publisher that goes on from an announcement of somebody else.
    fn check_current(&self) -> Result<(), PublishError> {
        if self.trust_current {
            return Ok(());
        }
        let name = || self.store.name(CURRENT);
        match (&self.signer, &self.current) {
            (None, Some((current, _))) if current.is_signed() => {
                Err(PublishError::Signed { name: name() })
            }
            _ => match self.verified() {
                Some(Err(source)) => Err(PublishError::NotSigned { name: name(), source }),
                _ => Ok(()),
            },
        }
    }

    /// The release that was announced last; `None` if nothing was published, or if the publisher still waits
    /// for nodes.
    ///
    /// # Errors
    /// [`PublishError::Store`].
    pub async fn last_announced(&self) -> Result<Option<Announced>, PublishError> {
        let Some((Current { activate_at: Some(activate_at), release, before, .. }, _)) =
            &self.current
        else {
            return Ok(None);
        };
        let release = self.store.release(release).await?;
        let new_configuration = self.is_new_configuration(before.as_ref(), &release).await?;
        let filter_at =
            self.schedule.filter_at(*activate_at, before.is_some(), &self.nodes, new_configuration);
        Ok(Some(Announced { activate_at: *activate_at, filter_at, release, new_configuration }))
    }

    /// As [`last_announced`](Self::last_announced), where there must be one.
    ///
    /// # Errors
    /// [`PublishError::NotAnnounced`] or [`PublishError::Store`].
    pub async fn resume(&self) -> Result<Announced, PublishError> {
        let address = || self.store.address().to_owned();
        self.last_announced()
            .await?
            .ok_or_else(|| PublishError::NotAnnounced { address: address() })
    }

    async fn is_new_configuration(
        &self,
        previous: Option<&ReleaseName>,
        release: &Release,
    ) -> Result<bool, PublishError> {
        let Some(previous) = previous else { return Ok(false) };
        match self.store.release(previous).await {
            // No node can serve a release that was removed.
            Err(error) if error.is_not_found() => Ok(false),
            found => Ok(found?.config_id != release.config_id),
        }
    }

    /// When the release that counts was published: later than now if the clock was ahead then. `None` if there is none.
    async fn last_published_at(&self) -> Result<Option<Timestamp>, PublishError> {
        let Some((current, _)) = &self.current else { return Ok(None) };
        match self.store.release(&current.release).await {
            Err(error) if error.is_not_found() => Ok(None),
            found => Ok(Some(found?.published_at)),
        }
    }

    /// Uploads the objects that are not there yet, and the release that names them. Returns the release and
    /// the number of new objects.
    async fn upload(
        &self,
        gathered: &Gathered,
        signed: &SignedFiles,
    ) -> Result<(ReleaseName, Release, usize), PublishError> {
        let files: Vec<_> = signed.files.iter().map(|(file, _)| file.clone()).collect();
        let mut digest = Sha256::new();
        files.iter().for_each(|file| digest.update(format!("{} {}\n", file.name, file.sha256)));
        // Nodes that check signatures take a release for an attack that is older than the one that they serve. A release of the
        // same time could have the same id.
        let earliest = self.last_published_at().await?.map_or(Timestamp::MIN, |last| last + SECOND);
        let published_at = self.clock.now().max(earliest);
        let id = hex::encode(&digest.finalize()[..4]);
        let release = Release::new(
            format!("{published_at}-{id}"),
            self.use_case.clone(),
            gathered.shard_count,
            gathered.config_id.clone(),
            published_at,
            files,
        )?;
        let mut uploaded = 0;
        {
            let bytes = signed.files.iter().map(|(file, _)| file.bytes).sum();
            let phase = Running::begin(self.progress, Phase::Uploading, bytes);
            for (file, path) in &signed.files {
                uploaded += usize::from(self.store.put_object(file, path).await?);
                phase.advance(file.bytes);
            }
        }
        let name = self.store.put_release(&release).await?;
        if let Some(signer) = &self.signer {
            self.store.sign_release(&name, &release, signer.key).await?;
        }
        // Until the release named them, another publisher could remove the objects as unused.
        for (file, path) in &signed.files {
            uploaded += usize::from(self.store.put_object(file, path).await?);
        }
        Ok((name, release, uploaded))
    }

    async fn earlier(&self, id: Option<&str>) -> Result<(ReleaseName, Release), PublishError> {
        let address = self.store.address().to_owned();
        let Some((current, _)) = &self.current else {
            return Err(PublishError::NothingPublished { address });
        };
        let is_named = id.is_some();
        let id = match (id, &current.before) {
            (Some(id), _) => id.to_owned(),
            (None, Some(before)) => before.id.clone(),
            (None, None) => {
                let id = current.release.id.clone();
                return Err(PublishError::NoEarlierRelease { address, id });
            }
        };
        if id == current.release.id {
            return Err(PublishError::AlreadyCurrent { address, id });
        }
        let found = match &self.signer {
            Some(signer) => {
                self.store.signed_release_by_id(&id, &self.use_case, &signer.keys).await
            }
            None => self.store.release_by_id(&id).await,
        };
        match found {
            Err(error) if error.is_not_found() => {
                Err(PublishError::UnknownRelease { address, id, known: self.known().await? })
            }
            Err(ReleaseStoreError::Trust { source: TrustError::Unsigned, .. }) => {
                let signed = self.signed_here(&current.release.id).await?;
                Err(PublishError::UnsignedRelease { address, id, signed })
            }
            found => {
                let found = found?;
                if is_named
                    || found.1.published_at
                        <= self.store.release(&current.release).await?.published_at
                {
                    return Ok(found);
                }
                let (id, before) = (current.release.id.clone(), id);
                Err(PublishError::Forward { address, id, before, known: self.known().await? })
            }
        }
    }

    /// The ids of the releases that the key of this publisher has signed, without one, for messages.
    async fn signed_here(&self, without: &str) -> Result<Vec<String>, PublishError> {
        let Some(signer) = &self.signer else { return Ok(Vec::new()) };
        let mut signed = Vec::new();
        for id in self.store.releases().await? {
            let found = self.store.signed_release_by_id(&id, &self.use_case, &signer.keys).await;
            if found.is_ok() && id != without {
                signed.push(id);
            }
        }
        signed.sort();
        Ok(signed)
    }

    /// The ids of all releases, for messages.
    async fn known(&self) -> Result<String, PublishError> {
        let mut known = self.store.releases().await?;
        known.sort();
        Ok(known.join(", "))
    }

    /// Makes a release the effective one: at once if it is the first, otherwise when nodes had time for it.
    async fn announce(
        &mut self,
        name: ReleaseName,
        release: Release,
        rollback: bool,
    ) -> Result<Announced, PublishError> {
        let now = self.clock.now();
        let previous = self.current.as_ref().map(|(current, _)| current.effective_at(now).clone());
        let new_configuration = self.is_new_configuration(previous.as_ref(), &release).await?;
        if previous.is_some() && !self.nodes.is_empty() {
            self.set(Current::new(name.clone(), None, previous.clone()), rollback).await?;
            self.wait_for_nodes(Goal::Ready, &release)
                .await
                .map_err(|source| PublishError::NodesNotReady { id: release.id.clone(), source })?;
        }
        // Nodes serve nothing yet that a first release would have to wait for.
        let lead = if previous.is_some() { self.schedule.lead } else { Duration::ZERO };
        let activate_at = self.clock.now() + lead;
        let filter_at = self.schedule.filter_at(
            activate_at,
            previous.is_some(),
            &self.nodes,
            new_configuration,
        );
        self.set(Current::new(name, Some(activate_at), previous), rollback).await?;
        Ok(Announced { release, activate_at, filter_at, new_configuration })
    }

    async fn set(&mut self, current: Current, rollback: bool) -> Result<(), PublishError> {
        let current = match &self.signer {
            Some(signer) => {
                let before = self.verified().and_then(Result::ok).unwrap_or(0);
                let sequence = self.clock.now().unix_seconds().max(before.saturating_add(1));
                current.sign(&self.use_case, sequence, rollback, signer.key)
            }
            None => current,
        };
        let known = self.current.as_ref().map(|(_, revision)| revision);
        let revision = self.store.set_current(&current, known).await?;
        self.current = Some((current, revision));
        Ok(())
    }

    async fn wait_for_nodes(&self, goal: Goal, release: &Release) -> Result<(), NodesError> {
        let timeout = self.schedule.node_timeout;
        self.nodes.wait_until(goal, &release.id, timeout, self.progress).await
    }

    /// Waits until a release is served everywhere, and gives its prefilter out.
    ///
    /// # Errors
    /// [`PublishError::NodesDoNotServe`], [`PublishError::Superseded`] or [`PublishError::Store`].
    pub async fn finish(&self, announced: &Announced) -> Result<(), PublishError> {
        self.sleep_until(announced.activate_at, Notice::WaitingForActivation).await;
        let asked_at = self.clock.now();
        self.wait_for_nodes(Goal::Served, &announced.release)
            .await
            .map_err(|source| PublishError::NodesDoNotServe { source })?;
        let served_at = self.clock.now();
        let mut filter_at = announced.filter_at;
        if announced.new_configuration && served_at.since(asked_at) > PUNCTUAL {
            // A node was late, and its devices have their time from then on.
            filter_at = filter_at.max(served_at + self.schedule.filter_delay);
        }
        self.sleep_until(filter_at, Notice::WaitingForPrevious).await;
        self.give_filter_out(&announced.release).await
    }

    /// Gives the prefilter of a release out, if it still is the release that was published last.
    async fn give_filter_out(&self, release: &Release) -> Result<(), PublishError> {
        let current = self.store.current(None).await?;
        if current.is_none_or(|(current, _)| current.release.id != release.id) {
            return Err(PublishError::Superseded);
        }
        if !self.store.has_filter_by_content(release).await? {
            self.store.set_filter(release).await?;
        }
        self.store.remove_other_levels(release).await?;
        Ok(())
    }

    /// Removes all releases but the latest ones, and returns the number of removed objects. The current
    /// release and the one before it stay in any case.
    ///
    /// # Errors
    /// [`PublishError::Store`].
    pub async fn prune(&self, keep: usize) -> Result<usize, PublishError> {
        let mut ids = self.store.releases().await?;
        // Ids begin with the time of publication.
        ids.sort_unstable_by_key(|id| {
            let time = id.split('-').next().and_then(|time| time.parse::<u64>().ok());
            std::cmp::Reverse(time)
        });
        ids.truncate(keep);
        if let Some((current, _)) = &self.current {
            ids.push(current.release.id.clone());
            ids.extend(current.before.as_ref().map(|before| before.id.clone()));
        }
        Ok(self.store.retain(&ids, self.clock.now() - MIN_AGE).await?)
    }

    async fn sleep_until(&self, time: Timestamp, notice: fn(Duration) -> Notice) {
        let left = time.since(self.clock.now());
        if left > Duration::from_secs(1) {
            self.progress.notice(notice(left));
        }
        // The clock may be set in the meantime; the time that it shows decides.
        while self.clock.now() < time {
            tokio::time::sleep(TICK).await;
        }
    }
}
