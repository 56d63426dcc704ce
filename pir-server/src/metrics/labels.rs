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
        pub(crate) enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// The value in metrics and logs.
            #[must_use]
            pub(crate) fn name(self) -> &'static str {
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
    /// The endpoint of a request.
    Endpoint {
        /// The issuer directory.
        Directory = "directory",
        /// The issuer key for a user token's tier.
        TokenKey = "token_key",
        /// Token requests.
        Issue = "issue",
        /// `POST /config` and `GET /config`.
        Config = "config",
        /// Evaluation keys.
        Key = "key",
        /// `POST /queries`.
        Queries = "queries",
        /// `POST /report`.
        Report = "report",
        /// `GET /filter`.
        Filter = "filter",
        /// The gateway. A request inside of an encapsulated one is also counted for its own endpoint.
        Gateway = "gateway",
        /// Anything else.
        Other = "other",
    }
}

label_values! {
    /// A step of the work on a query.
    Stage {
        /// Waiting for a worker thread.
        Queue = "queue",
        /// Expanding the query.
        Expansion = "expansion",
        /// Products with the database.
        First = "first_dimension",
        /// Products of ciphertexts.
        Second = "second_dimension",
        /// Putting the reply together and serializing it.
        Reply = "reply",
    }
}

label_values! {
    /// Why no token was issued, or one was not accepted.
    TokenRefusal {
        /// No `Authorization` header, or one of another scheme.
        Missing = "missing",
        /// Not a token.
        Malformed = "malformed",
        /// Signed with a key that is not accepted.
        UnknownKey = "unknown_key",
        /// Its signature is not valid.
        Signature = "signature",
        /// Spent before.
        Spent = "spent",
        /// Another request with it is in progress.
        InUse = "in_use",
        /// The user token is not valid.
        User = "user_token",
        /// Not a valid token request.
        Request = "request",
        /// The program or address that decides about user tokens does not answer, or too many wait for it.
        Hook = "hook",
        /// The user has had as many tokens as the limit allows.
        Limit = "limit",
    }
}

label_values! {
    /// Why the service ended a connection, or did not take it.
    Closing {
        /// It had no request for `limits.idleSeconds`.
        Idle = "idle",
        /// A head, a handshake or taking an answer exceeded its time limit.
        Slow = "slow",
        /// It made room for another one.
        Replaced = "replaced",
        /// There was no room for it.
        Refused = "refused",
        /// An answer that it did not take made room in `limits.unauthenticatedBytes`.
        Memory = "memory",
        /// A head had more fields than any client sends.
        Fields = "fields",
        /// It did not begin with a header of the PROXY protocol.
        Protocol = "protocol",
        /// It did not come from a balancer of `peers.proxies`.
        Stranger = "stranger",
    }
}

label_values! {
    /// How an operation ended.
    Outcome {
        Success = "done",
        Failure = "failed",
    }
}

impl EncodeLabelValue for GatewayRefusal {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), std::fmt::Error> {
        encoder.write_str(match self {
            Self::Key => "key",
            Self::Message => "message",
            Self::Target => "target",
            Self::Request => "request",
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
pub(super) struct ListLabel {
    pub(super) list: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct BuildLabel {
    pub(super) version: &'static str,
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
pub(super) struct ClosingLabel {
    pub(super) reason: Closing,
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
