//! The configuration of a managed device.

use crate::{Origin, UserToken, is_url_filter_use_case};
use plist::{Dictionary, Value};
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

/// Shortest time between two fetches of the prefilter, in seconds.
pub const MIN_FETCH_SECONDS: u32 = 2700;
/// What devices take if nothing is said, in seconds.
const DEFAULT_FETCH_SECONDS: u32 = 86_400;

/// A configuration cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// The prefilter would be fetched too often.
    #[error(
        "the prefilter is fetched every {0} seconds; at least {MIN_FETCH_SECONDS} are expected"
    )]
    FetchSeconds(u32),
    /// A bundle identifier is not one.
    #[error("{0:?} is not a bundle identifier: letters, digits, hyphens and dots are expected")]
    BundleId(String),
    /// The bundle identifier is the name of the use case.
    #[error(
        "{0} is the name of the use case; the bundle identifier of the app has no `.url.filtering`"
    )]
    UseCase(String),
    /// An extension has another identifier than its app can have.
    #[error(
        "{provider:?} is no extension of {app:?}: its identifier begins with that of the app and a dot"
    )]
    Provider {
        /// The bundle identifier of the extension.
        provider: String,
        /// The bundle identifier of the app.
        app: String,
    },
    /// The property list cannot be written.
    #[error("the property list cannot be written")]
    PropertyList(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What a management server tells devices about a filter.
///
/// Equal configurations give equal bytes: identifiers are made of the bundle identifier, and devices replace a profile by
/// one of the same identifier.
#[derive(Clone)]
#[must_use]
pub struct FilterConfiguration {
    server: Origin,
    issuer: Origin,
    token: UserToken,
    app: String,
    provider: String,
    requirement: Option<String>,
    name: String,
    organization: Option<String>,
    fail_closed: bool,
    fetch_seconds: u32,
}

impl FilterConfiguration {
    /// The filter of the app with the bundle identifier `app`, whose control provider extension has the identifier
    /// `provider`, with a service that issues its own tokens.
    pub fn new(
        server: Origin,
        token: UserToken,
        app: impl Into<String>,
        provider: impl Into<String>,
    ) -> Self {
        Self {
            issuer: server.clone(),
            server,
            token,
            app: app.into(),
            provider: provider.into(),
            requirement: None,
            name: "URL filter".to_owned(),
            organization: None,
            fail_closed: false,
            fetch_seconds: DEFAULT_FETCH_SECONDS,
        }
    }

    /// The issuer, if it is not the service.
    pub fn issuer(mut self, issuer: Origin) -> Self {
        self.issuer = issuer;
        self
    }

    /// The designated requirement of the control provider's code signature (`codesign -d -r-`). macOS needs it.
    pub fn designated_requirement(mut self, requirement: impl Into<String>) -> Self {
        self.requirement = Some(requirement.into());
        self
    }

    /// The name that devices show. Default: `URL filter`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The organization that devices show.
    pub fn organization(mut self, organization: impl Into<String>) -> Self {
        self.organization = Some(organization.into());
        self
    }

    /// Whether a URL is blocked when the service gives no verdict. Default: no.
    pub fn fail_closed(mut self, fail_closed: bool) -> Self {
        self.fail_closed = fail_closed;
        self
    }

    /// Seconds between two fetches of the prefilter, at least [`MIN_FETCH_SECONDS`]. Default: a day.
    pub fn fetch_seconds(mut self, seconds: u32) -> Self {
        self.fetch_seconds = seconds;
        self
    }

    fn check(&self) -> Result<(), ConfigurationError> {
        if self.fetch_seconds < MIN_FETCH_SECONDS {
            return Err(ConfigurationError::FetchSeconds(self.fetch_seconds));
        }
        for id in [&self.app, &self.provider] {
            let is_part = |character: char| {
                character.is_ascii_alphanumeric() || matches!(character, '-' | '.')
            };
            if !id.contains('.') || !id.chars().all(is_part) || id.split('.').any(str::is_empty) {
                return Err(ConfigurationError::BundleId(id.clone()));
            }
            if is_url_filter_use_case(id) {
                return Err(ConfigurationError::UseCase(id.clone()));
            }
        }
        let extension = self.provider.strip_prefix(&self.app);
        match extension.and_then(|extension| extension.strip_prefix('.')) {
            Some(_) => Ok(()),
            None => Err(ConfigurationError::Provider {
                provider: self.provider.clone(),
                app: self.app.clone(),
            }),
        }
    }

    /// The profile, an XML property list (`.mobileconfig`), for iOS, iPadOS and macOS 26 and later. It is not signed, and
    /// it has the user token.
    ///
    /// # Errors
    /// [`ConfigurationError`].
    pub fn profile(&self) -> Result<Zeroizing<Vec<u8>>, ConfigurationError> {
        self.check()?;
        let text = |text: &str| Value::from(text);
        let mut parameters = Dictionary::new();
        parameters.insert("PIRServerURL".to_owned(), text(self.server.as_str()));
        parameters.insert("PIRPrivacyPassIssuerURL".to_owned(), text(self.issuer.as_str()));
        parameters.insert("PIRAuthenticationToken".to_owned(), text(self.token.as_str()));
        parameters
            .insert("URLFilterControlProviderBundleIdentifier".to_owned(), text(&self.provider));
        if let Some(requirement) = &self.requirement {
            let key = "URLFilterControlProviderDesignatedRequirement".to_owned();
            parameters.insert(key, text(requirement));
        }
        parameters.insert("URLFilterFailClosed".to_owned(), Value::from(self.fail_closed));
        parameters.insert("URLPrefilterFetchFrequency".to_owned(), Value::from(self.fetch_seconds));
        let mut payload = self.envelope("com.apple.webcontent-filter", &self.payload_id());
        payload.insert("FilterType".to_owned(), text("Plugin"));
        payload.insert("UserDefinedName".to_owned(), text(&self.name));
        payload.insert("PluginBundleID".to_owned(), text(&self.app));
        payload.insert("FilterURLs".to_owned(), Value::from(true));
        payload.insert("URLFilterParameters".to_owned(), Value::from(parameters));
        let mut profile = self.envelope("Configuration", &self.profile_id());
        profile.insert("PayloadContent".to_owned(), Value::Array(vec![Value::from(payload)]));
        let mut out = Zeroizing::new(Vec::new());
        plist::to_writer_xml(&mut *out, &Value::from(profile))
            .map_err(|error| ConfigurationError::PropertyList(error.into()))?;
        out.push(b'\n');
        Ok(out)
    }

    /// What every payload has.
    fn envelope(&self, kind: &str, identifier: &str) -> Dictionary {
        let mut payload = Dictionary::new();
        payload.insert("PayloadType".to_owned(), Value::from(kind));
        payload.insert("PayloadVersion".to_owned(), Value::from(1));
        payload.insert("PayloadIdentifier".to_owned(), Value::from(identifier));
        payload.insert("PayloadUUID".to_owned(), Value::from(uuid_of(identifier)));
        payload.insert("PayloadDisplayName".to_owned(), Value::from(self.name.as_str()));
        if let Some(organization) = &self.organization {
            payload.insert("PayloadOrganization".to_owned(), Value::from(organization.as_str()));
        }
        payload
    }

    fn profile_id(&self) -> String {
        format!("{}.url-filter", self.app)
    }

    fn payload_id(&self) -> String {
        format!("{}.webcontent-filter", self.profile_id())
    }

    /// The declarations for iOS, iPadOS and macOS 27 and later: a JSON list of the asset with the user token, and of the
    /// configuration that refers to it. The management server serves the asset's data, which are its `Payload` here, and
    /// sets `ServerToken`.
    ///
    /// # Errors
    /// [`ConfigurationError`].
    ///
    /// # Panics
    /// Never: these values have JSON forms.
    pub fn declarations(&self) -> Result<Zeroizing<String>, ConfigurationError> {
        self.check()?;
        // On macOS the identifier goes with the requirement.
        let provider = match &self.requirement {
            Some(requirement) => format!("{} {{{requirement}}}", self.provider),
            None => self.provider.clone(),
        };
        let asset = uuid_of(&format!("{}.user-token", self.profile_id()));
        let mut payload = json!({
            "VisibleName": self.name,
            "PluginBundleID": self.app,
            "Filter": { "URLs": {
                "Enabled": true,
                "Parameters": {
                    "ProviderComposedIdentifier": provider,
                    "FailClosed": self.fail_closed,
                    "PrefilterFetchFrequency": self.fetch_seconds,
                    "PIR": {
                        "ServerURL": self.server.as_str(),
                        "PrivacyPassIssuerURL": self.issuer.as_str(),
                        "AuthenticationTokenAssetReference": asset,
                    },
                },
            } },
        });
        if let Some(organization) = &self.organization {
            payload["Organization"] = json!(organization);
        }
        let declarations = json!([
            {
                "Type": "com.apple.asset.credential.userpassword",
                "Identifier": asset,
                "ServerToken": "1",
                "Payload": { "UserName": self.app, "Password": self.token.as_str() },
            },
            {
                "Type": "com.apple.configuration.webcontent-filter.plugin",
                "Identifier": uuid_of(&self.payload_id()),
                "ServerToken": "1",
                "Payload": payload,
            },
        ]);
        let text = serde_json::to_string_pretty(&declarations).expect("the values have JSON forms");
        Ok(Zeroizing::new(text + "\n"))
    }
}

/// A UUID that is the same for the same identifier (version 8 of RFC 9562), in capitals as Apple's tools write it.
fn uuid_of(identifier: &str) -> String {
    let digest = Sha256::digest(identifier.as_bytes());
    let bytes = digest.first_chunk().expect("a digest has 32 bytes");
    Uuid::new_v8(*bytes).to_string().to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration() -> FilterConfiguration {
        FilterConfiguration::new(
            Origin::parse("https://pir.example.com").unwrap(),
            UserToken::parse("QUJDRA==").unwrap(),
            "com.example.app",
            "com.example.app.control",
        )
    }

    fn read(configuration: &FilterConfiguration) -> Dictionary {
        let profile = configuration.profile().unwrap();
        plist::from_bytes::<Value>(&profile).unwrap().into_dictionary().unwrap()
    }

    fn payload(profile: &Dictionary) -> Dictionary {
        let content = profile["PayloadContent"].as_array().unwrap();
        assert_eq!(content.len(), 1);
        content[0].as_dictionary().unwrap().clone()
    }

    #[test]
    fn the_extension_is_one_of_the_app() {
        for (provider, is_taken) in [
            ("com.example.app.control", true),
            ("com.example.app", false),
            ("com.example.application", false),
            ("com.example.app.", false),
            ("org.other.ext", false),
        ] {
            let mut configuration = configuration();
            configuration.provider = provider.to_owned();
            assert_eq!(configuration.profile().is_ok(), is_taken, "{provider}");
            assert_eq!(configuration.declarations().is_ok(), is_taken, "{provider}");
        }
    }

    #[test]
    fn the_profile_has_the_keys_of_the_documentation() {
        let issuer = Origin::parse("https://issuer.example.com").unwrap();
        let profile = read(
            &configuration()
                .issuer(issuer)
                .designated_requirement("identifier \"com.example.app.control\"")
                .name("School filter")
                .organization("School")
                .fail_closed(true)
                .fetch_seconds(3600),
        );
        assert_eq!(profile["PayloadType"].as_string(), Some("Configuration"));
        assert_eq!(profile["PayloadIdentifier"].as_string(), Some("com.example.app.url-filter"));
        let payload = payload(&profile);
        for (key, value) in [
            ("PayloadType", "com.apple.webcontent-filter"),
            ("FilterType", "Plugin"),
            ("UserDefinedName", "School filter"),
            ("PluginBundleID", "com.example.app"),
            ("PayloadOrganization", "School"),
        ] {
            assert_eq!(payload[key].as_string(), Some(value), "{key}");
        }
        assert_eq!(payload["FilterURLs"].as_boolean(), Some(true));
        assert_eq!(payload["PayloadVersion"].as_unsigned_integer(), Some(1));
        let parameters = payload["URLFilterParameters"].as_dictionary().unwrap();
        for (key, value) in [
            ("PIRServerURL", "https://pir.example.com"),
            ("PIRPrivacyPassIssuerURL", "https://issuer.example.com"),
            ("PIRAuthenticationToken", "QUJDRA=="),
            ("URLFilterControlProviderBundleIdentifier", "com.example.app.control"),
            (
                "URLFilterControlProviderDesignatedRequirement",
                "identifier \"com.example.app.control\"",
            ),
        ] {
            assert_eq!(parameters[key].as_string(), Some(value), "{key}");
        }
        assert_eq!(parameters["URLFilterFailClosed"].as_boolean(), Some(true));
        assert_eq!(parameters["URLPrefilterFetchFrequency"].as_unsigned_integer(), Some(3600));
        assert_eq!(parameters.len(), 7);
    }

    #[test]
    fn equal_configurations_give_equal_bytes_and_payloads_differ_in_their_identifiers() {
        assert_eq!(*configuration().profile().unwrap(), *configuration().profile().unwrap());
        let profile = read(&configuration());
        let uuid = |payload: &Dictionary| payload["PayloadUUID"].as_string().unwrap().to_owned();
        assert_ne!(uuid(&profile), uuid(&payload(&profile)));
        assert_eq!(Uuid::parse_str(&uuid(&profile)).unwrap().get_version_num(), 8);
        // The name and the token may change; devices replace the profile.
        assert_eq!(uuid(&profile), uuid(&read(&configuration().name("another"))));
    }

    #[test]
    fn the_declarations_have_the_keys_of_the_documentation() {
        let text = configuration().designated_requirement("anchor apple").declarations().unwrap();
        let declarations: serde_json::Value = serde_json::from_str(&text).unwrap();
        let (asset, filter) = (&declarations[0], &declarations[1]);
        assert_eq!(asset["Type"], "com.apple.asset.credential.userpassword");
        assert_eq!(asset["Payload"]["Password"], "QUJDRA==");
        assert_eq!(filter["Type"], "com.apple.configuration.webcontent-filter.plugin");
        assert_eq!(filter["Payload"]["PluginBundleID"], "com.example.app");
        let urls = &filter["Payload"]["Filter"]["URLs"];
        assert_eq!(urls["Enabled"], true);
        let parameters = &urls["Parameters"];
        assert_eq!(
            parameters["ProviderComposedIdentifier"],
            "com.example.app.control {anchor apple}"
        );
        assert_eq!(parameters["PrefilterFetchFrequency"], 86_400);
        let pir = &parameters["PIR"];
        assert_eq!(pir["ServerURL"], "https://pir.example.com");
        assert_eq!(pir["PrivacyPassIssuerURL"], "https://pir.example.com");
        assert_eq!(pir["AuthenticationTokenAssetReference"], asset["Identifier"]);
        assert!(!filter.to_string().contains("QUJDRA"));
    }

    #[test]
    fn what_devices_do_not_take_is_refused() {
        for (seconds, is_good) in [
            (MIN_FETCH_SECONDS - 1, false),
            (MIN_FETCH_SECONDS, true),
            (MIN_FETCH_SECONDS + 1, true),
        ] {
            assert_eq!(
                configuration().fetch_seconds(seconds).profile().is_ok(),
                is_good,
                "{seconds}"
            );
        }
        for id in [
            "",
            "app",
            "com..app",
            ".com.app",
            "com.app.",
            "com.exa mple.app",
            "com.example_app",
            "com.\u{e4}",
        ] {
            let mut changed = configuration();
            changed.app = id.to_owned();
            assert!(matches!(changed.profile(), Err(ConfigurationError::BundleId(_))), "{id}");
            assert!(matches!(changed.declarations(), Err(ConfigurationError::BundleId(_))), "{id}");
        }
        let mut changed = configuration();
        changed.app = "com.example.app.url.filtering".to_owned();
        assert!(matches!(changed.profile(), Err(ConfigurationError::UseCase(_))));
    }
}
