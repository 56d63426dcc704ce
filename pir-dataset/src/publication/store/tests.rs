use super::*;
use std::error::Error as _;

#[test]
fn causes_of_object_stores_are_told_once() {
    let inner = io::Error::other("refused");
    let error = Error::Generic { store: "S3", source: Box::new(inner) };
    let cause = cause(&error);
    assert_eq!(cause.to_string().matches("refused").count(), 1, "{cause}");
    assert!(cause.source().is_none());
}

#[test]
fn addresses_that_name_no_store() {
    let open = |address: &str| match ReleaseStore::open(address, &BTreeMap::new()) {
        Err(error) => error,
        Ok(_) => panic!("{address} was opened"),
    };
    for address in ["nonsense://x", "http://[", "file://elsewhere/x"] {
        let error = open(address);
        assert!(matches!(error, ReleaseStoreError::Address { .. }), "{address}: {error:?}");
        assert!(error.to_string().starts_with(address));
        assert!(!error.to_string().contains(&error.source().unwrap().to_string()));
    }
    #[cfg(not(feature = "cloud"))]
    for address in ["s3://bucket/x", "gs://bucket/x", "az://container/x"] {
        let error = open(address);
        assert!(matches!(error, ReleaseStoreError::CloudNotSupported { .. }), "{error:?}");
    }
}

/// The file is sparse and no JSON: it is read whole, or refused by its length.
#[tokio::test]
async fn texts_are_read_up_to_their_limit() {
    let folder = tempfile::tempdir().unwrap();
    let store = ReleaseStore::open(folder.path().to_str().unwrap(), &BTreeMap::new()).unwrap();
    let release = ReleaseName { id: "r".to_owned(), sha256: "00".repeat(32) };
    std::fs::create_dir_all(folder.path().join("releases/r")).unwrap();
    for (name, max) in [("current.json", MAX_CURRENT), ("releases/r/release.json", MAX_TEXT)] {
        let file = std::fs::File::create(folder.path().join(name)).unwrap();
        for length in [max - 1, max, max + 1] {
            file.set_len(length as u64).unwrap();
            let error = match max {
                MAX_CURRENT => store.current(None).await.map(drop).unwrap_err(),
                _ => store.release(&release).await.map(drop).unwrap_err(),
            };
            let is_too_long =
                matches!(error, ReleaseStoreError::Damaged { damage: Damage::TooLong, .. });
            assert_eq!(is_too_long, length > max, "{name} {length}: {error}");
        }
    }
}

#[test]
fn missing_credentials_are_told_by_the_names_of_their_variables() {
    let store = ReleaseStore::open("memory:///x", &BTreeMap::new()).unwrap();
    for (cause, is_told) in [
        ("error sending request for url (http://169.254.169.254/latest/api/token)", true),
        ("error sending request for url (https://s3.example/bucket)", false),
    ] {
        let error = Error::Generic { store: "S3", source: cause.into() };
        let error = store.failed("current.json")(error);
        let is_credentials = matches!(&error, ReleaseStoreError::Credentials { .. });
        assert_eq!(is_credentials, is_told, "{error}");
        assert_eq!(error.to_string().contains("AWS_ACCESS_KEY_ID"), is_told, "{error}");
    }
    for (address, variable) in [
        ("s3://bucket/x", "AWS_SECRET_ACCESS_KEY"),
        ("https://bucket.s3.eu.amazonaws.com", "AWS_SECRET_ACCESS_KEY"),
        ("gs://bucket", "GOOGLE_SERVICE_ACCOUNT"),
        ("az://container/x", "AZURE_STORAGE_ACCOUNT_KEY"),
    ] {
        assert!(credential_variables(address).contains(variable), "{address}");
    }
}
