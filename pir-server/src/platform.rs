//! What a device's system can read, from its `User-Agent`.

/// The operating system of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Platform {
    /// iOS or iPadOS, with major and minor version.
    Ios(u32, u32),
    /// macOS, with major and minor version.
    MacOs(u32, u32),
    /// A client of this project's library, on any system. It is served in the newest form.
    Client,
    /// Any other client. It is served in the newest form.
    Unknown,
}

/// The version `major.minor` at the start of a text.
fn version(text: &str) -> Option<(u32, u32)> {
    let number = |text: &str| -> Option<(u32, usize)> {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        Some((text[..end].parse().ok()?, end))
    };
    let (major, end) = number(text)?;
    let (minor, _) = number(text[end..].strip_prefix('.')?)?;
    Some((major, minor))
}

impl Platform {
    /// Reads the value of a `User-Agent` header, such as `com.apple.ciphermld/1.0 iOS/18.0 …` and
    /// `com.apple.ciphermld/1.2 (Macintosh; OS X 15.2; …) …`.
    #[must_use]
    pub(crate) fn from_user_agent(text: &str) -> Self {
        let after = |name: &str| text.rfind(name).and_then(|at| version(&text[at + name.len()..]));
        if let Some((major, minor)) = after("iOS/") {
            Self::Ios(major, minor)
        } else if let Some((major, minor)) = after("Macintosh; OS X ") {
            Self::MacOs(major, minor)
        } else if text.starts_with("url-filter-client/") {
            Self::Client
        } else {
            Self::Unknown
        }
    }

    /// Whether it reads configurations that give equal shards once with a count, and sharding functions other than
    /// SHA-256: from iOS 18.2 and macOS 15.2 on.
    #[must_use]
    pub(crate) fn reads_compact_configurations(self) -> bool {
        match self {
            Self::Ios(major, minor) => (major, minor) >= (18, 2),
            Self::MacOs(major, minor) => (major, minor) >= (15, 2),
            Self::Client | Self::Unknown => true,
        }
    }

    /// Whether its configuration may come from a cache that is not asked to forget it: from iOS and macOS 27.3 on devices
    /// fetch it with `GET /config` through Apple's caches. Earlier ones fetch it from the service itself, and have the
    /// new one as soon as they are told that theirs is superseded. Of other clients it is not known, but of this
    /// project's.
    #[must_use]
    pub(crate) fn has_cached_configurations(self) -> bool {
        match self {
            Self::Ios(major, minor) | Self::MacOs(major, minor) => (major, minor) >= (27, 3),
            Self::Client => false,
            Self::Unknown => true,
        }
    }

    /// Whether it reads refusals of queries as the protobuf message `Error`: from 27.0 on. Earlier systems log them
    /// as text.
    #[must_use]
    pub(crate) fn reads_error_messages(self) -> bool {
        match self {
            Self::Ios(major, _) | Self::MacOs(major, _) => major >= 27,
            Self::Client | Self::Unknown => false,
        }
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ios(major, minor) => write!(f, "iOS {major}.{minor}"),
            Self::MacOs(major, minor) => write!(f, "macOS {major}.{minor}"),
            Self::Client => f.write_str("url-filter-client"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_agents_name_platforms() {
        for (text, platform, compact) in [
            ("com.apple.ciphermld/1.0 iOS/18.0 ...", Platform::Ios(18, 0), false),
            ("com.apple.ciphermld/1.0 iOS/18.2.1 x", Platform::Ios(18, 2), true),
            ("com.apple.ciphermld/1.0 iOS/26.0", Platform::Ios(26, 0), true),
            ("c/1.2 (Macintosh; OS X 15.1.9; 24B5) x", Platform::MacOs(15, 1), false),
            ("c/1.2 (Macintosh; OS X 15.10; 24B5)", Platform::MacOs(15, 10), true),
            ("curl/8.0", Platform::Unknown, true),
            ("", Platform::Unknown, true),
            ("iOS/", Platform::Unknown, true),
            ("iOS/99999999999.1", Platform::Unknown, true),
            ("iOS/18", Platform::Unknown, true),
        ] {
            let read = Platform::from_user_agent(text);
            assert_eq!((read, read.reads_compact_configurations()), (platform, compact), "{text}");
        }
        for (text, reads) in [
            ("com.apple.ciphermld/1.0 iOS/26.4", false),
            ("com.apple.ciphermld/1.0 iOS/27.0", true),
            ("c/1.2 (Macintosh; OS X 27.3; x)", true),
            ("curl/8.0", false),
        ] {
            assert_eq!(Platform::from_user_agent(text).reads_error_messages(), reads, "{text}");
        }
        for (text, is_cached) in [
            ("com.apple.ciphermld/1.0 iOS/18.0", false),
            ("com.apple.ciphermld/1.0 iOS/26.6", false),
            ("com.apple.ciphermld/1.0 iOS/27.2", false),
            ("com.apple.ciphermld/1.0 iOS/27.3", true),
            ("com.apple.ciphermld/1.0 iOS/28.0", true),
            ("c/1.2 (Macintosh; OS X 27.2; x)", false),
            ("c/1.2 (Macintosh; OS X 27.3; x)", true),
            ("url-filter-client/0.1.0", false),
            ("curl/8.0", true),
            ("", true),
        ] {
            let platform = Platform::from_user_agent(text);
            assert_eq!(platform.has_cached_configurations(), is_cached, "{text}");
        }
    }
}
