//! Names of use cases, as devices derive them from the bundle id of the app.

/// What follows the bundle id in the name of a URL filter's use case.
const URL_FILTER_ENDING: &str = ".url.filtering";

/// The name under which devices with this app look up URLs.
///
/// ```
/// let name = app_configuration::url_filter_use_case("com.example.app");
/// assert_eq!(name, "com.example.app.url.filtering");
/// ```
#[must_use]
pub fn url_filter_use_case(bundle_id: &str) -> String {
    format!("{bundle_id}{URL_FILTER_ENDING}")
}

/// Whether a text is the name of a URL filter's use case, by its end, and so no bundle id.
#[must_use]
pub fn is_url_filter_use_case(text: &str) -> bool {
    text.ends_with(URL_FILTER_ENDING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_case_is_known_by_its_end() {
        assert!(is_url_filter_use_case(&url_filter_use_case("com.example.app")));
        for other in [
            "com.example.app",
            "com.example.app.url.filterin",
            "com.example.app.url.filtering.x",
            "com.example.appurl.filtering",
            "com.example.app.URL.filtering",
            "",
        ] {
            assert!(!is_url_filter_use_case(other), "{other}");
        }
    }
}
