//! Prefilters that a trusted key has signed, and others.

use crate::support::{Function, ok, status};
use blocklist::{Builder, Options};
use filter_client::{
    FilterOptions, PirClient, PrefilterError, PrefilterSource, PrefilterTrust, UrlFilter,
};
use release_signature::{SecretKey, SignedText, TrustedKeys};
use serde_json::{Value, json};

const USE_CASE: &str = "com.example.app.url.filtering";

/// Metadata and bits of a prefilter, and the metadata signed as `urlfilter publish --sign` does it.
struct Prefilter {
    key: SecretKey,
    metadata: Value,
    bits: Vec<u8>,
    list: Vec<u8>,
}

impl Prefilter {
    fn new() -> Self {
        let builder = Builder::new(Options::default());
        let built = builder.add_list("list", &b"a.example\n"[..], None).unwrap().finish().unwrap();
        let built = built.prefilter;
        let mut list = Vec::new();
        built.write_plist(&mut list).unwrap();
        let metadata = serde_json::from_slice(&built.metadata().to_json()).unwrap();
        let bits = built.filter().bytes().to_vec();
        Self { key: SecretKey::generate().unwrap(), metadata, bits, list }
    }

    fn signed(&self, use_case: &str) -> Value {
        let text = json!({ "useCase": use_case, "metadata": self.metadata }).to_string();
        let signed = serde_json::to_value(SignedText::new(text, "prefilter", &self.key)).unwrap();
        let mut all = self.metadata.clone();
        all.as_object_mut().unwrap().extend(signed.as_object().unwrap().clone());
        all
    }

    async fn load(&self, source: PrefilterSource) -> Result<String, PrefilterError> {
        let keys = TrustedKeys::new(vec![self.key.public()]).unwrap();
        let trust = PrefilterTrust::new(keys, USE_CASE);
        let source = match source {
            PrefilterSource::File(path) => PrefilterSource::SignedFile { path, trust },
            PrefilterSource::Raw { metadata, bits } => {
                PrefilterSource::SignedRaw { metadata, bits, trust }
            }
            PrefilterSource::Url(url) => PrefilterSource::SignedUrl { url, trust },
            other => other,
        };
        let client = PirClient::builder("https://pir.example", USE_CASE);
        let client = client.transport(Function::new(|_| status(500))).build().unwrap();
        let (metadata, bits) = (self.signed(USE_CASE).to_string(), self.bits.clone());
        let files = Function::new(move |request| match request.uri().path() {
            "/bloom.json" => ok(metadata.clone().into_bytes()),
            _ => ok(bits.clone()),
        });
        UrlFilter::with_transport(source, client, FilterOptions::default(), files)
            .await
            .map(|filter| filter.prefilter_tag())
    }

    fn raw(&self, metadata: &Value) -> PrefilterSource {
        PrefilterSource::Raw {
            metadata: metadata.to_string().into_bytes(),
            bits: self.bits.clone(),
        }
    }
}

#[tokio::test]
async fn only_signed_prefilters_are_used_where_keys_are_given() {
    let prefilter = Prefilter::new();
    let (tag, signed) = (prefilter.metadata["tag"].as_str().unwrap(), prefilter.signed(USE_CASE));
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("bloom.json"), signed.to_string()).unwrap();
    std::fs::write(path("bloom.bin"), &prefilter.bits).unwrap();
    for source in [
        prefilter.raw(&signed),
        PrefilterSource::File(folder.path().into()),
        PrefilterSource::File(path("bloom.json")),
        PrefilterSource::File(path("bloom.bin")),
        PrefilterSource::Url("https://files.example/bloom.json".to_owned()),
    ] {
        assert_eq!(prefilter.load(source).await.unwrap(), tag);
    }

    std::fs::write(path("list.plist"), &prefilter.list).unwrap();
    for source in [
        prefilter.raw(&prefilter.metadata),
        PrefilterSource::File(path("list.plist")),
        PrefilterSource::Url("https://files.example/bloom.plist".to_owned()),
    ] {
        let error = prefilter.load(source).await.unwrap_err();
        assert!(matches!(error, PrefilterError::Unsigned), "{error}");
    }
    let other = prefilter.load(prefilter.raw(&prefilter.signed("com.example.other"))).await;
    assert!(matches!(other, Err(PrefilterError::UseCase { .. })));
    let stranger = Prefilter { key: SecretKey::generate().unwrap(), ..Prefilter::new() };
    let stranger = prefilter.load(prefilter.raw(&stranger.signed(USE_CASE))).await;
    assert!(matches!(stranger, Err(PrefilterError::Signature(_))));
}

/// Fewer hashes or another seed would let every URL through.
#[tokio::test]
async fn changed_metadata_is_refused_or_not_used() {
    let prefilter = Prefilter::new();
    let mut changed = prefilter.signed(USE_CASE);
    changed["murmurSeed"] = json!(1);
    // From memory, what was signed is used.
    assert!(prefilter.load(prefilter.raw(&changed)).await.is_ok());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bloom.json"), changed.to_string()).unwrap();
    std::fs::write(folder.path().join("bloom.bin"), &prefilter.bits).unwrap();
    let error = prefilter.load(PrefilterSource::File(folder.path().into())).await.unwrap_err();
    assert!(matches!(error, PrefilterError::OtherPrefilter), "{error}");
    let text = changed["signed"].as_str().unwrap();
    changed["signed"] = json!(text.replace("\"hashCount\":", "\"hashCount\":1"));
    let error = prefilter.load(prefilter.raw(&changed)).await.unwrap_err();
    assert!(matches!(error, PrefilterError::Signature(_)), "{error}");
    // Other bits than those that were signed.
    let mut bits = prefilter.bits.clone();
    bits[0] ^= 1;
    let metadata = prefilter.signed(USE_CASE).to_string().into_bytes();
    let error = prefilter.load(PrefilterSource::Raw { metadata, bits }).await.unwrap_err();
    assert!(matches!(error, PrefilterError::Content(_)), "{error}");
}

#[tokio::test]
async fn signed_metadata_is_read_up_to_its_limit() {
    const MAX: usize = 1 << 20;
    let prefilter = Prefilter::new();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bloom.bin"), &prefilter.bits).unwrap();
    for length in [MAX - 1, MAX, MAX + 1] {
        let mut metadata = prefilter.signed(USE_CASE).to_string().into_bytes();
        metadata.resize(length, b' ');
        std::fs::write(folder.path().join("bloom.json"), metadata).unwrap();
        let outcome = prefilter.load(PrefilterSource::File(folder.path().into())).await;
        assert_eq!(outcome.is_ok(), length <= MAX, "{length}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_prefilter_of_another_level_is_refused() {
    let prefilter = Prefilter::new();
    let keys = TrustedKeys::new(vec![prefilter.key.public()]).unwrap();
    let any = PrefilterTrust::new(keys, USE_CASE);
    for (signed, trusted, is_used) in [
        (None, None, true),
        (Some("family"), Some("family"), true),
        (Some("family"), Some("essential"), false),
        (Some("family"), None, false),
        (None, Some("family"), false),
    ] {
        let mut statement = json!({ "useCase": USE_CASE, "metadata": prefilter.metadata });
        if let Some(level) = signed {
            statement["level"] = json!(level);
        }
        let signature = SignedText::new(statement.to_string(), "prefilter", &prefilter.key);
        let mut metadata = prefilter.metadata.clone();
        let fields = serde_json::to_value(signature).unwrap();
        metadata.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let trust = match trusted {
            Some(level) => any.clone().for_level(level),
            None => any.clone(),
        };
        let metadata = metadata.to_string().into_bytes();
        let source = PrefilterSource::SignedRaw { metadata, bits: prefilter.bits.clone(), trust };
        let client = PirClient::builder("https://pir.example", USE_CASE);
        let client = client.transport(Function::new(|_| status(500))).build().unwrap();
        let outcome = UrlFilter::new(source, client, FilterOptions::default()).await;
        match outcome {
            Ok(_) => assert!(is_used, "{signed:?} {trusted:?}"),
            Err(error) => {
                assert!(!is_used && matches!(error, PrefilterError::Level { .. }), "{error}")
            }
        }
    }
}
