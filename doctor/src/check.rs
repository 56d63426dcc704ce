//! What is checked.

use serde::{Serialize, Serializer};
use std::fmt;

/// One thing that is checked. Its [name](Self::name) is stable: scripts may branch on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Check {
    /// The service's address has the form that App Store apps need.
    ServerUrl,
    /// The issuer's address has that form.
    IssuerUrl,
    /// The gateway's address begins with `https://`.
    GatewayUrl,
    /// Devices before iOS and macOS 27 can decode the user token.
    UserTokenForm,
    /// The service can be reached, over TLS and HTTP/2.
    ServerConnection,
    /// The issuer can be reached, over TLS and HTTP/2.
    IssuerConnection,
    /// The gateway can be reached, over TLS and HTTP/2.
    GatewayConnection,
    /// The service's certificate is valid for weeks.
    ServerCertificate,
    /// The issuer's certificate is valid for weeks.
    IssuerCertificate,
    /// The gateway's certificate is valid for weeks.
    GatewayCertificate,
    /// The service's clock agrees with this machine's.
    ServerClock,
    /// The issuer's clock agrees with this machine's.
    IssuerClock,
    /// The gateway's clock agrees with this machine's.
    GatewayClock,
    /// The issuer publishes a directory with a key that is valid now (RFC 9578, section 4).
    Directory,
    /// The issuer accepts the user token.
    UserToken,
    /// The key for the user token is in the directory.
    TierKey,
    /// The issuer issues a token whose signature verifies.
    Issuance,
    /// The first valid key of the directory serves this user, as devices from iOS and macOS 27.3 on expect.
    FirstKeyIssuance,
    /// The service has the use case.
    Config,
    /// The number of shards is one that devices from iOS and macOS 27.3 on accept.
    ShardCount,
    /// The service accepts an evaluation key.
    KeyUpload,
    /// The entry that Apple's onboarding looks up is found.
    OnboardingEntry,
    /// The number that Apple's onboarding looks up is found, with its name, and is not blocked.
    OnboardingNumber,
    /// A key that is on no list is not found.
    AbsentKey,
    /// Prefilter and data set are of one build.
    SameBuild,
    /// The service gives out the prefilter of a level, and little is blocked under it that only other levels list.
    Level,
    /// Time and bytes of a lookup.
    Costs,
    /// The service takes reports where the app sends them.
    ReportEndpoint,
    /// The gateway publishes a key configuration (RFC 9458, section 3).
    GatewayKeys,
    /// A lookup through the gateway succeeds.
    GatewayLookup,
    /// The TXT record that ties the service's host to the app.
    DnsRecord,
    /// The app's Info.plist has the same addresses.
    InfoPlist,
}

impl Check {
    /// The name in reports, such as `serverUrl`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ServerUrl => "serverUrl",
            Self::IssuerUrl => "issuerUrl",
            Self::GatewayUrl => "gatewayUrl",
            Self::UserTokenForm => "userTokenForm",
            Self::ServerConnection => "serverConnection",
            Self::IssuerConnection => "issuerConnection",
            Self::GatewayConnection => "gatewayConnection",
            Self::ServerCertificate => "serverCertificate",
            Self::IssuerCertificate => "issuerCertificate",
            Self::GatewayCertificate => "gatewayCertificate",
            Self::ServerClock => "serverClock",
            Self::IssuerClock => "issuerClock",
            Self::GatewayClock => "gatewayClock",
            Self::Directory => "directory",
            Self::UserToken => "userToken",
            Self::TierKey => "tierKey",
            Self::Issuance => "issuance",
            Self::FirstKeyIssuance => "firstKeyIssuance",
            Self::Config => "config",
            Self::ShardCount => "shardCount",
            Self::KeyUpload => "keyUpload",
            Self::OnboardingEntry => "onboardingEntry",
            Self::OnboardingNumber => "onboardingNumber",
            Self::AbsentKey => "absentKey",
            Self::SameBuild => "sameBuild",
            Self::Level => "level",
            Self::Costs => "costs",
            Self::ReportEndpoint => "reportEndpoint",
            Self::GatewayKeys => "gatewayKeys",
            Self::GatewayLookup => "gatewayLookup",
            Self::DnsRecord => "dnsRecord",
            Self::InfoPlist => "infoPlist",
        }
    }
}

/// The [name](Check::name).
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
