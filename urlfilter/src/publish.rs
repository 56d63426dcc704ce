//! `urlfilter publish`, in its steps: upload, announce, wait for the nodes, and only then the prefilter.

mod gather;
mod nodes;

pub(crate) use gather::{Gathered, gather};
pub(crate) use nodes::Nodes;

use crate::output::{BYTES, bar_style, note};
use crate::process::hex;
use anyhow::{Context, bail};
use indicatif::ProgressBar;
use pir_server::publication::{Current, Mark, Place, Release, ReleaseName};
use sha2::{Digest, Sha256};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How a release comes into force.
pub(crate) struct Schedule {
    /// Seconds from when all nodes have it, or without nodes from when it is announced, until it is
    /// served.
    pub(crate) lead: u64,
    /// Seconds that prefilter and data set stay apart if devices can be served the one before it.
    pub(crate) superseded: u64,
    /// Seconds for nodes to be ready.
    pub(crate) patience: u64,
}

impl Schedule {
    /// From when on a prefilter may be given out.
    fn filter_at(
        &self,
        activate_at: u64,
        has_before: bool,
        nodes: &Nodes,
        new_configuration: bool,
    ) -> u64 {
        let margin = if has_before && nodes.is_empty() { MARGIN } else { 0 };
        activate_at + margin + if new_configuration { self.superseded } else { 0 }
    }
}

/// Without nodes to ask, how much later than announced a release may be served.
const MARGIN: u64 = 30;

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// What counts at a place, as far as it was looked at.
pub(crate) struct Publisher {
    place: Place,
    current: Option<(Current, Mark)>,
}

/// A release that is announced, or was before.
pub(crate) struct Announced {
    pub(crate) release: Release,
    /// When it counts.
    pub(crate) activate_at: u64,
    /// When its prefilter may be given out.
    pub(crate) filter_at: u64,
    /// Whether clients must fetch the configuration.
    pub(crate) new_configuration: bool,
}

impl Publisher {
    pub(crate) async fn open(place: Place) -> anyhow::Result<Self> {
        let current = place.current(None).await?;
        Ok(Self { place, current })
    }

    /// The release that was announced last.
    pub(crate) async fn latest(&self) -> anyhow::Result<Option<Release>> {
        let Some((current, _)) = &self.current else { return Ok(None) };
        Ok(Some(self.place.release(&current.release).await?))
    }

    /// The release that was announced last as [`Publisher::announce`] left it; none if nodes still wait
    /// for a word when to serve it.
    pub(crate) async fn announced(
        &self,
        nodes: &Nodes,
        schedule: &Schedule,
    ) -> anyhow::Result<Option<Announced>> {
        let Some((Current { activate_at: Some(activate_at), release, before, .. }, _)) =
            &self.current
        else {
            return Ok(None);
        };
        let release = self.place.release(release).await?;
        let new_configuration = self.is_new_configuration(before.as_ref(), &release).await?;
        Ok(Some(Announced {
            activate_at: *activate_at,
            filter_at: schedule.filter_at(*activate_at, before.is_some(), nodes, new_configuration),
            release,
            new_configuration,
        }))
    }

    async fn is_new_configuration(
        &self,
        before: Option<&ReleaseName>,
        release: &Release,
    ) -> anyhow::Result<bool> {
        let Some(before) = before else { return Ok(false) };
        match self.place.release(before).await {
            // Nobody serves what is not there any more.
            Err(error) if error.is_not_found() => Ok(false),
            found => Ok(found?.config_id != release.config_id),
        }
    }

    /// Uploads what is not there yet, and names it. Returns the release and how many objects were new.
    pub(crate) async fn upload(
        &self,
        gathered: &Gathered,
        use_case: &str,
    ) -> anyhow::Result<(ReleaseName, Release, usize)> {
        let files: Vec<_> = gathered.files.iter().map(|(file, _)| file.clone()).collect();
        let mut digest = Sha256::new();
        files.iter().for_each(|file| digest.update(format!("{} {}\n", file.name, file.sha256)));
        let published_at = now();
        let id = hex(&digest.finalize()[..4]);
        let release = Release::new(
            format!("{published_at}-{id}"),
            use_case.to_owned(),
            gathered.shard_count,
            gathered.config_id.clone(),
            published_at,
            files,
        )?;
        let bytes = gathered.files.iter().map(|(file, _)| file.bytes).sum();
        let bar = ProgressBar::new(bytes).with_message("uploading").with_style(bar_style(BYTES));
        let mut uploaded = 0;
        for (file, path) in &gathered.files {
            uploaded += usize::from(self.place.put_object(file, path).await?);
            bar.inc(file.bytes);
        }
        bar.finish_and_clear();
        let name = self.place.put_release(&release).await?;
        // Now that the release names them, nobody removes objects; until then somebody could have.
        for (file, path) in &gathered.files {
            uploaded += usize::from(self.place.put_object(file, path).await?);
        }
        Ok((name, release, uploaded))
    }

    /// The release before the current one, or one by its id.
    pub(crate) async fn earlier(&self, id: Option<&str>) -> anyhow::Result<(ReleaseName, Release)> {
        let address = self.place.address();
        let Some((current, _)) = &self.current else {
            bail!("{address}: nothing was published yet")
        };
        let id = match (id, &current.before) {
            (Some(id), _) => id.to_owned(),
            (None, Some(before)) => before.id.clone(),
            (None, None) => bail!("{address}: there is no release before {}", current.release.id),
        };
        if id == current.release.id {
            bail!("{address}: {id} is the release that counts already");
        }
        match self.place.release_by_id(&id).await {
            Err(error) if error.is_not_found() => {
                let mut ids = self.place.releases().await?;
                ids.sort();
                bail!("{address}: there is no release {id:?}; there are {}", ids.join(", "))
            }
            found => Ok(found?),
        }
    }

    /// Makes a release the one that counts: at once if it is the first, otherwise when nodes had time.
    pub(crate) async fn announce(
        &mut self,
        name: ReleaseName,
        release: Release,
        nodes: &Nodes,
        schedule: &Schedule,
    ) -> anyhow::Result<Announced> {
        let before = self.current.as_ref().map(|(current, _)| current.counts(now()).clone());
        let new_configuration = self.is_new_configuration(before.as_ref(), &release).await?;
        let activate_at = match (&before, nodes.is_empty()) {
            // Nobody serves anything yet.
            (None, _) => now(),
            (Some(_), true) => now() + schedule.lead,
            (Some(_), false) => {
                self.set(Current::new(name.clone(), None, before.clone())).await?;
                if let Err(error) = nodes.wait_until_ready(&release.id, schedule.patience).await {
                    return Err(error.context(format!(
                        "release {} is announced, and nodes go on with the one before it; publish again \
                         when they can follow",
                        release.id
                    )));
                }
                now() + schedule.lead
            }
        };
        let filter_at = schedule.filter_at(activate_at, before.is_some(), nodes, new_configuration);
        self.set(Current::new(name, Some(activate_at), before)).await?;
        Ok(Announced { release, activate_at, filter_at, new_configuration })
    }

    async fn set(&mut self, current: Current) -> anyhow::Result<()> {
        let known = self.current.as_ref().map(|(_, mark)| mark);
        let mark = self.place.set_current(&current, known).await?;
        self.current = Some((current, mark));
        Ok(())
    }

    /// Waits until a release is served everywhere, and gives its prefilter out.
    pub(crate) async fn finish(
        &self,
        announced: &Announced,
        nodes: &Nodes,
        schedule: &Schedule,
    ) -> anyhow::Result<()> {
        wait_until(announced.activate_at, "until the release is served").await;
        nodes.wait_until_served(&announced.release.id, schedule.patience).await.context(
            "the prefilter was not given out: devices would ask for what a node does not have yet; run \
             `urlfilter publish --filter-only` when it does",
        )?;
        wait_until(announced.filter_at, "until no device is served the data set before it").await;
        self.give_filter(&announced.release).await
    }

    /// Gives the prefilter of a release out, if it still is the one that counts.
    pub(crate) async fn give_filter(&self, release: &Release) -> anyhow::Result<()> {
        let current = self.place.current(None).await?;
        if current.is_none_or(|(current, _)| current.release.id != release.id) {
            bail!("another release was published meanwhile; its publisher gives its prefilter out");
        }
        if !self.place.has_filter(release).await? {
            self.place.set_filter(release).await?;
        }
        Ok(())
    }

    /// Removes all releases but the latest ones. Those that count stay in any case.
    pub(crate) async fn prune(&self, keep: usize) -> anyhow::Result<usize> {
        /// Another publisher may be uploading: what is young stays.
        const YOUNG: u64 = 3600;
        let mut ids = self.place.releases().await?;
        // They begin with the time.
        ids.sort_unstable_by_key(|id| {
            let time = id.split('-').next().and_then(|time| time.parse::<u64>().ok());
            std::cmp::Reverse(time)
        });
        ids.truncate(keep);
        if let Some((current, _)) = &self.current {
            ids.push(current.release.id.clone());
            ids.extend(current.before.as_ref().map(|before| before.id.clone()));
        }
        Ok(self.place.retain(&ids, now().saturating_sub(YOUNG)).await?)
    }
}

async fn wait_until(time: u64, why: &str) {
    let seconds = time.saturating_sub(now());
    if seconds > 1 {
        note(format_args!("waiting {seconds} s {why}"));
    }
    // The clock may be set meanwhile; what counts is the time that it shows.
    while now() < time {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
