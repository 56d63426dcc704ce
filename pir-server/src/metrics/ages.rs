//! Metrics of what ages, and of the process.

use super::Levels;
use super::labels::{BuildLabel, ListLabel, UseCaseLabel};
use crate::catalog::ServedUseCase;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use unix_clock::Timestamp;

/// A list that the service keeps up to date.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ListLevel {
    /// Name of the list in the list configuration.
    pub(crate) name: String,
    /// When the copy that is used was fetched.
    pub(crate) fetched_at: Timestamp,
    /// Its entries with a key.
    pub(crate) entries: u64,
    /// Whether the source cannot be used, and an old copy is.
    pub(crate) is_old: bool,
}

/// When what is served was made, fetched or ends: the metrics for what ages.
#[derive(Debug)]
pub(super) struct Ages {
    rows: Family<UseCaseLabel, Gauge>,
    data_set_time: Family<UseCaseLabel, Gauge>,
    last_reload: Gauge,
    certificate_end: Gauge,
    list_fetched: Family<ListLabel, Gauge>,
    list_entries: Family<ListLabel, Gauge>,
    list_old: Family<ListLabel, Gauge>,
    lists_updated: Gauge,
    lists_served: Gauge,
    build: Family<BuildLabel, Gauge>,
    resident: Gauge,
    started: Gauge,
    /// Metrics of the process have no prefix: all exporters call them so.
    process: Registry,
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn seconds(time: Timestamp) -> i64 {
    signed(time.unix_seconds())
}

impl Default for Ages {
    fn default() -> Self {
        let mut all = Self {
            rows: Family::default(),
            data_set_time: Family::default(),
            last_reload: Gauge::default(),
            certificate_end: Gauge::default(),
            list_fetched: Family::default(),
            list_entries: Family::default(),
            list_old: Family::default(),
            lists_updated: Gauge::default(),
            lists_served: Gauge::default(),
            build: Family::default(),
            resident: Gauge::default(),
            started: Gauge::default(),
            process: Registry::default(),
        };
        let version = env!("CARGO_PKG_VERSION");
        all.build.get_or_create(&BuildLabel { version }).set(1);
        all.started.set(seconds(std::time::SystemTime::now().into()));
        all.process.register_with_unit(
            "process_resident_memory",
            "Memory of the process, as the system counts it; 0 if it does not say",
            Unit::Bytes,
            all.resident.clone(),
        );
        all.process.register_with_unit(
            "process_start_time",
            "When the service was started, since 1970",
            Unit::Seconds,
            all.started.clone(),
        );
        all
    }
}

impl Ages {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("rows", "Rows of the newest version", self.rows.clone());
        registry.register_with_unit(
            "data_set_timestamp",
            "When the files of the newest version were written on this machine, since 1970",
            Unit::Seconds,
            self.data_set_time.clone(),
        );
        registry.register_with_unit(
            "last_reload_timestamp",
            "When data sets were loaded, since 1970",
            Unit::Seconds,
            self.last_reload.clone(),
        );
        registry.register_with_unit(
            "certificate_expiry_timestamp",
            "When the certificate ends, since 1970; 0 without one",
            Unit::Seconds,
            self.certificate_end.clone(),
        );
        registry.register_with_unit(
            "list_fetched_timestamp",
            "When the copy of a list was fetched that is used, since 1970",
            Unit::Seconds,
            self.list_fetched.clone(),
        );
        registry.register(
            "list_entries",
            "Entries of a list with a key",
            self.list_entries.clone(),
        );
        registry.register(
            "list_old",
            "1 where a list is away, broken or too short, and an old copy is used",
            self.list_old.clone(),
        );
        registry.register_with_unit(
            "lists_updated_timestamp",
            "When the last update of lists ended that did not fail, or the service was started if none did, since 1970; 0 without lists",
            Unit::Seconds,
            self.lists_updated.clone(),
        );
        registry.register(
            "lists_served",
            "0 if what was made of the lists last is not served, otherwise 1",
            self.lists_served.clone(),
        );
        registry.register("build_info", "The version of the program; 1", self.build.clone());
    }

    pub(super) fn process(&self) -> &Registry {
        &self.process
    }

    pub(super) fn reloaded(&self, now: Timestamp) {
        self.last_reload.set(seconds(now));
    }

    pub(super) fn served(&self, served: &[ServedUseCase]) {
        self.rows.clear();
        self.data_set_time.clear();
        for use_case in served {
            let label = UseCaseLabel { usecase: use_case.name.clone() };
            if let Some(rows) = use_case.rows {
                self.rows.get_or_create(&label).set(signed(rows));
            }
            if let Some(time) = use_case.written_at {
                self.data_set_time.get_or_create(&label).set(seconds(time));
            }
        }
    }

    pub(super) fn now(&self, levels: &Levels) {
        self.certificate_end.set(levels.certificate_end.map_or(0, seconds));
        self.lists_updated.set(levels.lists_updated.map_or(0, seconds));
        self.lists_served.set(levels.lists_served.into());
        self.resident.set(signed(resident_bytes().unwrap_or(0)));
        for family in [&self.list_fetched, &self.list_entries, &self.list_old] {
            family.clear();
        }
        for list in &levels.lists {
            let label = ListLabel { list: list.name.clone() };
            self.list_fetched.get_or_create(&label).set(seconds(list.fetched_at));
            self.list_entries.get_or_create(&label).set(signed(list.entries));
            self.list_old.get_or_create(&label).set(list.is_old.into());
        }
    }
}

/// The memory of this process, in bytes.
pub(crate) fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(1024 * kilobytes)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn the_memory_of_the_process_is_known() {
        assert!(super::resident_bytes().unwrap() > 1 << 20);
    }
}
