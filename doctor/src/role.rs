//! The servers of a deployment.

use crate::Check;

/// The three servers of a deployment; they may be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Server,
    Issuer,
    Gateway,
}

impl Role {
    /// The check of the form of its address.
    pub(crate) fn form(self) -> Check {
        match self {
            Self::Server => Check::ServerUrl,
            Self::Issuer => Check::IssuerUrl,
            Self::Gateway => Check::GatewayUrl,
        }
    }

    pub(crate) fn connection(self) -> Check {
        match self {
            Self::Server => Check::ServerConnection,
            Self::Issuer => Check::IssuerConnection,
            Self::Gateway => Check::GatewayConnection,
        }
    }

    pub(crate) fn certificate(self) -> Check {
        match self {
            Self::Server => Check::ServerCertificate,
            Self::Issuer => Check::IssuerCertificate,
            Self::Gateway => Check::GatewayCertificate,
        }
    }

    pub(crate) fn clock(self) -> Check {
        match self {
            Self::Server => Check::ServerClock,
            Self::Issuer => Check::IssuerClock,
            Self::Gateway => Check::GatewayClock,
        }
    }
}
