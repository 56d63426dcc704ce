//! What is examined.

use app_configuration::url_filter_use_case;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;
use zeroize::Zeroizing;

/// How long a page waits for the answer to its lookup: three seconds, then it fails or is let through
/// (`docs/onboarding.md`).
pub(crate) const PAGE_WAIT: Duration = Duration::from_secs(3);

/// What devices use the service for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feature {
    UrlFilter,
    /// Live Caller ID Lookup.
    CallerId,
}

/// A deployment to examine: the addresses that an app has, and what the findings are compared with.
///
/// The user token is wiped from memory when this is dropped; it appears in no finding and no error.
#[derive(Clone)]
#[must_use]
pub struct Deployment {
    pub(crate) server: String,
    pub(crate) issuer: String,
    pub(crate) gateway: Option<String>,
    pub(crate) user_token: Zeroizing<String>,
    pub(crate) bundle_id: String,
    pub(crate) feature: Feature,
    pub(crate) report_endpoint: Option<String>,
    pub(crate) filter: Option<PathBuf>,
    pub(crate) levels: Vec<String>,
    pub(crate) levels_folder: Option<PathBuf>,
    pub(crate) data: Option<PathBuf>,
    pub(crate) info_plist: Option<PathBuf>,
    #[cfg(feature = "dns")]
    pub(crate) resolver: Option<std::net::SocketAddr>,
    pub(crate) is_development: bool,
    pub(crate) authority: Option<PathBuf>,
    pub(crate) timeout: Duration,
    pub(crate) max_latency: Duration,
    pub(crate) page_wait: Duration,
    pub(crate) max_reply_bytes: u64,
}

impl Deployment {
    /// The address of a path of the service, with or without its first slash.
    pub(crate) fn server_url(&self, path: &str) -> String {
        format!("{}/{}", self.server.trim_end_matches('/'), path.trim_start_matches('/'))
    }

    /// A deployment whose service at `server` issues its own tokens.
    ///
    /// `bundle_id` is that of the app, without `.url.filtering`; `user_token` is what the app sets as
    /// `pirAuthenticationToken`, without `Bearer `.
    pub fn new(
        server: impl Into<String>,
        bundle_id: impl Into<String>,
        user_token: impl Into<String>,
    ) -> Self {
        let server = server.into();
        Self {
            issuer: server.clone(),
            server,
            gateway: None,
            user_token: Zeroizing::new(user_token.into()),
            bundle_id: bundle_id.into(),
            feature: Feature::UrlFilter,
            report_endpoint: None,
            filter: None,
            levels: Vec::new(),
            levels_folder: None,
            data: None,
            info_plist: None,
            #[cfg(feature = "dns")]
            resolver: None,
            is_development: false,
            authority: None,
            timeout: Duration::from_secs(20),
            max_latency: Duration::from_secs(1),
            page_wait: PAGE_WAIT,
            max_reply_bytes: 1_000_000,
        }
    }

    /// Address of the issuer, if it is not the service.
    pub fn issuer(mut self, url: impl Into<String>) -> Self {
        self.issuer = url.into();
        self
    }

    /// Address of the Oblivious HTTP gateway, or of its resource; without it the gateway is not examined.
    pub fn gateway(mut self, url: impl Into<String>) -> Self {
        self.gateway = Some(url.into());
        self
    }

    /// The service is for Live Caller ID Lookup: `bundle_id` is that of the extension, its two use cases are examined, and
    /// the number that Apple looks up takes the place of the URL. There is no prefilter, and no property list is compared.
    pub fn caller_id(mut self) -> Self {
        self.feature = Feature::CallerId;
        self
    }

    /// Path of the service that the app has as `reportEndpoint`, such as `reports`: an empty report is sent there.
    pub fn report_endpoint(mut self, path: impl Into<String>) -> Self {
        self.report_endpoint = Some(path.into());
        self
    }

    /// A level whose prefilter the service gives out, by its name; may be called for several.
    pub fn level(mut self, name: impl Into<String>) -> Self {
        self.levels.push(name.into());
        self
    }

    /// Folder with a folder for the prefilter of each level, as an update of lists writes it: the service must give out just
    /// these.
    pub fn levels_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.levels_folder = Some(folder.into());
        self
    }

    /// Folder that `urlfilter build` wrote: keys of its prefilter are looked up at the service.
    pub fn filter(mut self, folder: impl Into<PathBuf>) -> Self {
        self.filter = Some(folder.into());
        self
    }

    /// First part of the names of the processed data set's files, such as `dist/urls`: it is compared with the
    /// data set that is served. Needs [`filter`](Self::filter).
    pub fn data(mut self, stem: impl Into<PathBuf>) -> Self {
        self.data = Some(stem.into());
        self
    }

    /// The app's Info.plist, whose addresses are compared.
    pub fn info_plist(mut self, file: impl Into<PathBuf>) -> Self {
        self.info_plist = Some(file.into());
        self
    }

    /// Name server that is asked for the TXT record of the service's host.
    #[cfg(feature = "dns")]
    pub fn resolver(mut self, address: std::net::SocketAddr) -> Self {
        self.resolver = Some(address);
        self
    }

    /// Whether the app is installed by Xcode, which allows `http`, ports and paths in addresses.
    /// Default: no.
    pub fn development(mut self, is_development: bool) -> Self {
        self.is_development = is_development;
        self
    }

    /// PEM file of an authority that is trusted in addition to the system's.
    pub fn authority(mut self, pem: impl Into<PathBuf>) -> Self {
        self.authority = Some(pem.into());
        self
    }

    /// Limit for one exchange with a server. Default: 20 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Median time of a lookup above which there is a warning. Default: one second.
    pub fn max_latency(mut self, latency: Duration) -> Self {
        self.max_latency = latency;
        self
    }

    /// Median time of a lookup above which devices have given up. Default: three seconds, which is how long a page waits.
    /// A longer one is for services that only a client of another make uses.
    pub fn page_wait(mut self, wait: Duration) -> Self {
        self.page_wait = wait;
        self
    }

    /// Size of a reply above which there is a warning. Default: 1,000,000 bytes.
    pub fn max_reply_bytes(mut self, bytes: u64) -> Self {
        self.max_reply_bytes = bytes;
        self
    }

    /// Names of the use cases, the one that devices wait for first.
    pub(crate) fn use_cases(&self) -> Vec<String> {
        let id = &self.bundle_id;
        match self.feature {
            Feature::UrlFilter => vec![url_filter_use_case(id)],
            Feature::CallerId => vec![format!("{id}.block"), format!("{id}.identity")],
        }
    }

    /// What the TXT record of the service's host begins with.
    #[cfg(feature = "dns")]
    pub(crate) fn record_name(&self) -> &'static str {
        match self.feature {
            Feature::UrlFilter => "apple-url-filter=",
            Feature::CallerId => "apple-live-caller-id-lookup=",
        }
    }

    /// The keyword that Apple looks up.
    pub(crate) fn onboarding_keyword(&self) -> &'static str {
        match self.feature {
            Feature::UrlFilter => blocklist::key::ONBOARDING_ENTRY,
            Feature::CallerId => caller_id::ONBOARDING_NUMBER,
        }
    }
}

/// The host of an address; empty if it has none.
pub(crate) fn host_of(address: &str) -> String {
    let url = Url::parse(address).ok();
    url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}
