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
    let file = std::fs::File::create(folder.path().join("current.json")).unwrap();
    for length in [MAX_TEXT - 1, MAX_TEXT, MAX_TEXT + 1] {
        file.set_len(length as u64).unwrap();
        let error = store.current(None).await.unwrap_err();
        let is_too_long =
            matches!(error, ReleaseStoreError::Damaged { damage: Damage::TooLong, .. });
        assert_eq!(is_too_long, length > MAX_TEXT, "{length}: {error}");
    }
}
