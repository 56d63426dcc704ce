//! AdGuard's hints about the rule on the next line: `!+ PLATFORM(windows, mac) NOT_OPTIMIZED`.

/// The names of platforms that are Apple's devices.
const APPLE: [&str; 3] = ["ext_safari", "ios", "mac"];

/// Whether some hints say that the rule behind them is for other platforms: for named ones of which none is Apple's, or not for
/// one that is.
pub(super) fn are_for_others(hints: &str) -> bool {
    let mut rest = hints;
    while let Some((before, behind)) = rest.split_once('(') {
        let name = before.split_whitespace().next_back().unwrap_or_default();
        let (platforms, behind) = behind.split_once(')').unwrap_or((behind, ""));
        let names_apple = platforms
            .split(',')
            .any(|platform| APPLE.contains(&platform.trim().to_ascii_lowercase().as_str()));
        match name {
            "PLATFORM" if !names_apple => return true,
            "NOT_PLATFORM" if names_apple => return true,
            _ => {}
        }
        rest = behind;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_name_platforms() {
        for (hints, expected) in [
            (" PLATFORM(windows, mac, android)", false),
            (" PLATFORM(windows,android)", true),
            (" PLATFORM( IOS )", false),
            (" NOT_PLATFORM(ios, ext_safari)", true),
            (" NOT_PLATFORM(windows)", false),
            (" NOT_OPTIMIZED", false),
            (" NOT_OPTIMIZED PLATFORM(ext_ff", true),
            (" PLATFORM(mac) NOT_PLATFORM(mac)", true),
            ("", false),
        ] {
            assert_eq!(are_for_others(hints), expected, "{hints}");
        }
    }
}
