//! Settings that a reload cannot change.

use crate::configuration::{
    Configuration, GatewaySettings, IssuerSettings, Limits, ListSettings, PeerSettings,
    PublicationSettings, StoreSettings, UserTokenSettings,
};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Settings in effect from the start of the process to its end.
pub(super) struct Settings {
    pub(super) limits: Limits,
    listen: Vec<SocketAddr>,
    admin: Option<SocketAddr>,
    pub(super) doctor_report: Option<PathBuf>,
    tls: bool,
    peers: PeerSettings,
    store: StoreSettings,
    workers: Option<usize>,
    issuer: IssuerSettings,
    user_tokens: UserTokenSettings,
    gateway: Option<GatewaySettings>,
    publications: PublicationSettings,
    lists: Option<ListSettings>,
    pub(super) report_path: String,
    /// Name and address of each subscribed use case.
    published: Vec<(String, String)>,
}

impl Settings {
    pub(super) fn of(configuration: &Configuration) -> Self {
        Self {
            limits: configuration.limits.clone(),
            listen: configuration.listen.clone(),
            admin: configuration.admin,
            doctor_report: configuration.doctor_report.clone(),
            tls: configuration.tls.is_some(),
            peers: configuration.peers.clone(),
            store: configuration.store.clone(),
            workers: configuration.workers,
            issuer: configuration.issuer.clone(),
            user_tokens: configuration.user_tokens.clone(),
            gateway: configuration.gateway.clone(),
            publications: configuration.publications.clone(),
            lists: configuration.lists.clone(),
            report_path: configuration.reports.path.clone(),
            published: configuration
                .use_cases
                .iter()
                .filter_map(|use_case| {
                    Some((use_case.name().to_owned(), use_case.published()?.to_owned()))
                })
                .collect(),
        }
    }

    /// Configuration keys whose values differ from `other`'s.
    pub(super) fn changed(&self, other: &Self) -> Vec<&'static str> {
        let pairs = [
            ("listen", self.listen == other.listen),
            ("admin", self.admin == other.admin),
            ("doctorReport", self.doctor_report == other.doctor_report),
            ("tls", self.tls == other.tls),
            ("peers", self.peers == other.peers),
            ("store", self.store == other.store),
            ("limits", self.limits == other.limits),
            ("workers", self.workers == other.workers),
            ("issuer", self.issuer == other.issuer),
            ("userTokens", self.user_tokens == other.user_tokens),
            ("gateway", self.gateway == other.gateway),
            ("publications", self.publications == other.publications),
            ("lists", self.lists == other.lists),
            ("reports.path", self.report_path == other.report_path),
            ("usecases.published", self.published == other.published),
        ];
        pairs.into_iter().filter(|(_, same)| !same).map(|(key, _)| key).collect()
    }
}
