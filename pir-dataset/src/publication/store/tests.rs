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
