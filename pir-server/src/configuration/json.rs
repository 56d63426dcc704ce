//! JSON to values, with errors that name the key and the kind of value, and never the value itself.

use super::error::ConfigurationError;
use serde::de::DeserializeOwned;

/// Reads a value from a whole text.
pub(super) fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, ConfigurationError> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| describe(&error.path().to_string(), error.inner()))?;
    deserializer.end().map_err(|error| describe("", &error))?;
    Ok(value)
}

fn describe(path: &str, error: &serde_json::Error) -> ConfigurationError {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let text = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text);
    if !error.is_data() {
        return ConfigurationError::Json { file: None, reason: text.to_owned(), line, column };
    }
    let (key, reason) = describe_value(path, text);
    let reason = format!("{reason} (line {line}, column {column})");
    ConfigurationError::Value { file: None, key, reason }
}

/// Key and reason of what serde says of a value. What it quotes of the value stays out: it may be a
/// token. Names of keys are repeated.
fn describe_value(path: &str, text: &str) -> (String, String) {
    let child = |key: &str| match path {
        "." | "" => key.to_owned(),
        // The parser names the key as the last part of the path itself, or not.
        path if path.strip_suffix(key).is_some_and(|parent| parent.ends_with('.')) => {
            path.to_owned()
        }
        path => format!("{path}.{key}"),
    };
    let quoted = |text: &str| text.split('`').nth(1).unwrap_or_default().to_owned();
    if let Some(rest) = text.strip_prefix("unknown field ") {
        let key = quoted(rest);
        let known = match rest.rsplit_once(", expected ") {
            Some((_, known)) => format!("; known here: {}", known.trim_start_matches("one of ")),
            None => String::new(),
        };
        let reason = format!("there is no such key, check its spelling{known}");
        return (if path == key { key } else { child(&key) }, reason);
    }
    if let Some(rest) = text.strip_prefix("missing field ") {
        return (child(&quoted(rest)), "it is missing".to_owned());
    }
    if let Some(rest) = text.strip_prefix("duplicate field ") {
        return (child(&quoted(rest)), "it is there twice".to_owned());
    }
    let key = match path {
        "." | "" => "the whole text",
        path => path,
    };
    (key.to_owned(), pir_dataset::configuration::value_reason(text))
}
