//! Labels as types: endpoints, reasons, stages and tiers are closed sets, and names of use cases come
//! from the configuration. Nothing that a client sends can become a label.

use crate::gateway::GatewayRefusal;
use crate::tier::Tier;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use std::fmt::Write;

/// Declares a closed set of label values.
macro_rules! label_values {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// The value in metrics and logs.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), std::fmt::Error> {
                encoder.write_str(self.name())
            }
        }
    };
}

label_values! {
    /// Where a request went.
    Endpoint {
        /// The issuer directory.
        Directory = "directory",
        /// The key of a user token's tier.
        TokenKey = "token_key",
        /// Issuing.
        Issue = "issue",
        /// Configurations.
        Config = "config",
        /// Evaluation keys.
        Key = "key",
        /// Queries.
        Queries = "queries",
        /// Reports.
        Report = "report",
        /// The gateway; what was in its requests is counted at its own endpoint, too.
        Gateway = "gateway",
        /// Anything else.
        Other = "other",
    }
}

label_values! {
    /// A step of the work on a query.
    Stage {
        /// Waiting for a core.
        Queue = "queue",
        /// Expanding the query.
        Expansion = "expansion",
        /// Products with the database.
        First = "first_dimension",
        /// Products of ciphertexts.
        Second = "second_dimension",
        /// The reply.
        Reply = "reply",
    }
}

label_values! {
    /// Why no token was issued, or one was not accepted.
    TokenRefusal {
        /// No header, or another scheme.
        Missing = "missing",
        /// Not a token.
        Malformed = "malformed",
        /// Of a key that is not accepted.
        UnknownKey = "unknown_key",
        /// The signature does not hold.
        Signature = "signature",
        /// Spent before.
        Spent = "spent",
        /// The user token is not known.
        User = "user_token",
        /// A request that is not one.
        Request = "request",
    }
}

label_values! {
    /// How something ended.
    Outcome {
        /// Well.
        Done = "done",
        /// Not.
        Failed = "failed",
    }
}

impl EncodeLabelValue for GatewayRefusal {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), std::fmt::Error> {
        encoder.write_str(match self {
            Self::Key => "key",
            Self::Message => "message",
            Self::Target => "target",
            Self::Origin => "origin",
        })
    }
}

impl EncodeLabelValue for Tier {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), std::fmt::Error> {
        encoder.write_str(self.name())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RequestLabels {
    pub(super) endpoint: Endpoint,
    pub(super) status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct EndpointLabel {
    pub(super) endpoint: Endpoint,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StageLabels {
    pub(super) usecase: String,
    pub(super) stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct UseCaseLabel {
    pub(super) usecase: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct TierLabel {
    pub(super) tier: Tier,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RefusalLabel {
    pub(super) reason: TokenRefusal,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct GatewayLabel {
    pub(super) reason: GatewayRefusal,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OutcomeLabel {
    pub(super) outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct UseCaseOutcomeLabels {
    pub(super) usecase: String,
    pub(super) outcome: Outcome,
}
