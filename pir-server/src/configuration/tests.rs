use super::*;
use std::time::Duration;

const EXAMPLE: &str = r#"{
  "issuerRequestUri": "http://host.example:8080/issue",
  "reportDirectory": null,
  "users": [
    {"tier": "tier1", "tokens": ["AAAA"]},
    {"tier": "tier2", "tokens": ["BBBB", "CCCC"]}
  ],
  "usecases": [
    {"fileStem": "url", "shardCount": 1, "name": "com.example.app.url.filtering"}
  ]
}"#;

/// The error of the example with one text in place of another.
fn fail(from: &str, to: &str) -> String {
    assert!(EXAMPLE.contains(from), "{from}");
    error(&EXAMPLE.replace(from, to))
}

fn error(text: &str) -> String {
    Configuration::parse(text.as_bytes()).err().expect(text).to_string()
}

/// The example with one more key.
fn with(key: &str, value: &str) -> String {
    EXAMPLE.replace("\"users\"", &format!(r#""{key}": {value}, "users""#))
}

fn is_valid(text: &str) -> bool {
    Configuration::parse(text.as_bytes()).is_ok()
}

#[test]
fn public_keys_of_publications_are_read() {
    let good = "RWSDNrEMEKy3cFf+Zz+uaFcQeJsrLHfQo+lm1VBGjuX9C1a6JEO//Hyz";
    let parse = |keys: serde_json::Value| {
        let text = serde_json::json!({ "users": [], "usecases": [], "publications": { "publicKeys": keys } });
        Configuration::parse(text.to_string().as_bytes())
    };
    let keys = parse(serde_json::json!([good, good])).ok().unwrap().publications.keys.unwrap();
    assert_eq!(keys.keys()[1].to_string(), good);
    assert!(parse(serde_json::Value::Null).ok().unwrap().publications.keys.is_none());
    for (keys, at) in [
        (serde_json::json!([]), "publications.publicKeys: "),
        (serde_json::json!([good, "RWSD"]), "publications.publicKeys[1]: "),
    ] {
        let error = parse(keys).err().unwrap().to_string();
        assert!(error.starts_with(at), "{error}");
    }
}

#[test]
fn the_file_of_the_example_is_accepted() {
    let read = Configuration::parse(EXAMPLE.as_bytes()).unwrap();
    assert_eq!(read.users.len(), 2);
    let use_case = &read.use_cases[0];
    let files = ShardFiles { stem: "url".into(), count: ShardCount::Manifest(Some(1)) };
    assert_eq!(*use_case.source(), UseCaseSource::Files(files));
    assert_eq!(
        (use_case.version_count, use_case.superseded_for),
        (usize::MAX, Duration::from_secs(12 * 3600))
    );
    assert_eq!(read.listen, default_listen());
    let made = Configuration::new(read.users.clone(), read.use_cases.clone());
    assert_eq!((&made.limits, &made.store), (&read.limits, &read.store));
    assert_eq!((&made.issuer, &made.user_tokens), (&read.issuer, &read.user_tokens));
    assert_eq!((&made.reports, &made.publications), (&read.reports, &read.publications));
}

/// Other servers behind the gateway are asked what devices ask, at the path that the app has.
#[cfg(feature = "gateway")]
#[test]
fn the_gateway_passes_reports_on_at_their_path() {
    let text = serde_json::json!({
        "users": [], "usecases": [],
        "gateway": { "origins": { "pir.example.com": "http://127.0.0.1:1" } },
        "reports": { "path": "reports" },
    });
    let read = Configuration::parse(text.to_string().as_bytes()).unwrap();
    let requests = read.gateway.unwrap().requests;
    for (path, is_passed_on) in [("/reports", true), ("/report", true), ("/report/x", false)] {
        let is_found = requests.iter().any(|request| request.is(&http::Method::POST, path));
        assert_eq!(is_found, is_passed_on, "{path}");
    }
}

#[test]
fn values_of_another_kind_are_named_by_key_and_kind() {
    let cases = [
        (
            "\"shardCount\": 1",
            "\"shardCount\": \"1\"",
            "usecases[0].shardCount: a number is expected, not text (line 9, column 41)",
        ),
        (
            "\"shardCount\": 1",
            "\"shardCount\": 1.5",
            "usecases[0].shardCount: a number is expected, not a number with a fraction (line",
        ),
        (
            "\"shardCount\": 1",
            "\"shardCount\": [1]",
            "usecases[0].shardCount: a number is expected, not a list (line",
        ),
        (
            "\"shardCount\": 1",
            "\"shardCount\": -1",
            "usecases[0].shardCount: a whole number from 0 to 4294967295 is expected (line",
        ),
        (
            "\"fileStem\": \"url\"",
            "\"fileStem\": null",
            "usecases[0].fileStem: text is expected, not null (line",
        ),
        (
            "[\"AAAA\"]",
            "\"AAAA\"",
            "users[0].tokens: a list is expected, not text (line 5, column 38)",
        ),
        ("[\"AAAA\"]", "[\"AAAA\", 7]", "users[0].tokens[1]: text is expected, not a number (line"),
        (
            "\"tier1\"",
            "\"tier9\"",
            "users[0].tier: one of `tier1`, `tier2`, `tier3` is expected (line",
        ),
        ("null", "true", "reportDirectory: text is expected, not true or false (line"),
    ];
    for (from, to, expected) in cases {
        let error = fail(from, to);
        assert!(error.starts_with(expected), "{error}\n{expected}");
        assert!(!error.contains("AAAA"), "{error}");
    }
    let error = error("[]");
    assert!(error.starts_with("the whole text: an object is expected"), "{error}");
}

#[test]
fn keys_that_are_unknown_missing_or_repeated_are_named() {
    let unknown = fail("\"fileStem\"", "\"filestem\"");
    let expected =
        "usecases[0].filestem: there is no such key, check its spelling; known here: `name`";
    assert!(unknown.starts_with(expected), "{unknown}");
    let unknown = error(&with("userToken", "{}"));
    assert!(unknown.starts_with("userToken: there is no such key"), "{unknown}");
    let unknown = error(&with("limits", r#"{"batches": 1}"#));
    assert!(unknown.starts_with("limits.batches: there is no such key"), "{unknown}");
    let missing = fail(", \"name\": \"com.example.app.url.filtering\"", "");
    assert!(missing.starts_with("usecases[0].name: it is missing"), "{missing}");
    let missing = error("{}");
    assert!(missing.starts_with("usecases: it is missing"), "{missing}");
    let missing = error(r#"{"usecases": []}"#);
    assert!(missing.starts_with("users: it is missing"), "{missing}");
    let twice = error(&with("reportDirectory", "null"));
    assert!(twice.starts_with("reportDirectory: it is there twice"), "{twice}");
}

#[test]
fn a_text_that_is_not_json_is_named_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("service-config.json");
    std::fs::write(&path, "{\"users\": [\"AAAA\" \"BBBB\"]}").unwrap();
    let error = Configuration::read(&path).err().unwrap();
    assert!(matches!(error, ConfigurationError::Value { .. } | ConfigurationError::Json { .. }));
    std::fs::write(&path, "{\"users\": [] \"usecases\": []}").unwrap();
    let error = Configuration::read(&path).err().unwrap().to_string();
    let expected =
        format!("{}: not valid JSON: expected `,` or `}}` (line 1, column", path.display());
    assert!(error.starts_with(&expected), "{error}");
    std::fs::write(&path, EXAMPLE.replace("1,", "0,")).unwrap();
    let error = Configuration::read(&path).err().unwrap().to_string();
    let expected = format!("{}: usecases[0].shardCount: a number from 1 to", path.display());
    assert!(error.starts_with(&expected), "{error}");
    let error = Configuration::read(&folder.path().join("none")).err().unwrap();
    assert!(matches!(error, ConfigurationError::Read(error) if error.is_not_found()));
}

#[test]
fn values_that_cannot_be_used_are_named() {
    let published = r#""published": "/p""#;
    for (from, to, expected) in [
        ("\"shardCount\": 1", "\"shardCount\": 0", "usecases[0].shardCount: a number from 1 to"),
        ("\"url\"", "\"\"", "usecases[0].fileStem: it is missing"),
        ("\"shardCount\": 1", published, "usecases[0].published: an address is expected in place"),
        ("\"AAAA\"", "\"\"", "users[0].tokens[0]: a token of 1 to 4096 bytes"),
        ("\"CCCC\"", "\"\"", "users[1].tokens[1]: a token of 1 to 4096 bytes"),
        ("\"com.example", "\"\\ncom.example", "usecases[0].name: a name of 1 to 255 bytes"),
    ] {
        let error = fail(from, to);
        assert!(error.starts_with(expected), "{error}");
    }
    for (key, value, expected) in [
        ("limits", r#"{"batch": 5, "queue": 4}"#, "limits.queue: must be at least limits.batch"),
        ("limits", r#"{"connections": 0}"#, "limits.connections: must not be 0"),
        (
            "issuer",
            r#"{"overlapHours": 167}"#,
            "issuer.overlapHours: devices keep tokens for a week: at least 168",
        ),
        ("issuer", r#"{"rotationDays": 2}"#, "issuer.rotationDays: a key must sign for longer"),
        ("listen", r#"["localhost"]"#, "listen[0]: an address and a port are expected"),
        ("listen", "[]", "listen: at least one address"),
        ("admin", r#""x""#, "admin: an address and a port are expected"),
        ("workers", "0", "workers: must not be 0"),
        ("userTokens", r#"{"command": []}"#, "userTokens.command: a list that begins"),
        (
            "userTokens",
            r#"{"command": ["a"], "url": "http://a"}"#,
            "userTokens: either command or url",
        ),
        ("userTokens", r#"{"url": "ftp://a"}"#, "userTokens.url: an address that begins"),
        ("reports", r#"{"entries": 0}"#, "reports.entries: must not be 0"),
        (
            "publications",
            r#"{"pollSeconds": 3601}"#,
            "publications.pollSeconds: a number of seconds",
        ),
        ("gateway", "{}", "gateway.hosts: a host is expected"),
        (
            "gateway",
            r#"{"hosts": ["a", "b/c"]}"#,
            "gateway.hosts[1]: the name of a host is expected",
        ),
        (
            "gateway",
            r#"{"hosts": ["a"], "requests": ["DELETE /a"]}"#,
            "gateway.requests[0]: GET or POST and a path",
        ),
        (
            "peers",
            r#"{"address": "proxyProtocol"}"#,
            "peers.proxies: the addresses of the balancers",
        ),
        ("peers", r#"{"proxies": ["10.0.0.0/8"]}"#, "peers.proxies: has a meaning only with"),
        (
            "peers",
            r#"{"address": "proxyProtocol", "proxies": ["::/0", "10.0.0.0/33"]}"#,
            "peers.proxies[1]: an address or a network",
        ),
        ("peers", r#"{"address": "forwarded"}"#, "peers.address: one of"),
        ("gateway", r#"{"origins": {"a": "b"}}"#, "gateway.origins.a: an address is expected"),
    ] {
        if key == "gateway" && !Feature::Gateway.is_built_in() {
            continue;
        }
        let error = error(&with(key, value));
        assert!(error.starts_with(expected), "{error}\n{expected}");
    }
    let twice = r#"[{"fileStem": "a", "shardCount": 1, "name": "n"}, {"fileStem": "b", "shardCount": 1, "name": "n"}]"#;
    let error = error(&format!(r#"{{"users": [], "usecases": {twice}}}"#));
    assert!(error.starts_with("usecases[1].name: another use case has the name n"), "{error}");
}

#[test]
fn limits_hold_at_their_edges() {
    let name = |length: usize| format!("\"{}\"", "n".repeat(length));
    let token = |length: usize| format!("[\"{}\"]", "t".repeat(length));
    let example = |from: &str, to: &str| is_valid(&EXAMPLE.replace(from, to));
    for (length, valid) in [(0, false), (1, true), (255, true), (256, false)] {
        assert_eq!(example("\"com.example.app.url.filtering\"", &name(length)), valid, "{length}");
    }
    for (length, valid) in [(0, false), (1, true), (MAX_TOKEN, true), (MAX_TOKEN + 1, false)] {
        assert_eq!(example("[\"AAAA\"]", &token(length)), valid, "{length}");
    }
    let max = pir_api::convert::MAX_SHARDS;
    for (shards, valid) in [(0, false), (1, true), (max, true), (max + 1, false)] {
        assert_eq!(example("\"shardCount\": 1", &format!("\"shardCount\": {shards}")), valid);
    }
    for (key, value, valid) in [
        ("limits", r#"{"headerBytes": 8191}"#, false),
        ("limits", r#"{"headerBytes": 8192}"#, true),
        ("limits", r#"{"headerBytes": 8193}"#, true),
        ("limits", r#"{"batch": 4, "queue": 3}"#, false),
        ("limits", r#"{"batch": 4, "queue": 4}"#, true),
        ("limits", r#"{"bodyBytes": 4, "bodiesInFlightBytes": 3}"#, false),
        ("limits", r#"{"bodyBytes": 4, "bodiesInFlightBytes": 4}"#, true),
        ("limits", r#"{"connections": 9, "connectionsPerPeer": 0}"#, false),
        ("limits", r#"{"connections": 9, "connectionsPerPeer": 1}"#, true),
        ("limits", r#"{"connections": 9, "connectionsPerPeer": 9}"#, true),
        ("limits", r#"{"connections": 9, "connectionsPerPeer": 10}"#, false),
        ("limits", r#"{"bodyBytes": 10, "unauthenticatedBytes": 39}"#, false),
        ("limits", r#"{"bodyBytes": 10, "unauthenticatedBytes": 40}"#, true),
        ("limits", r#"{"bodyBytes": 10, "unauthenticatedBytes": 41}"#, true),
        ("limits", r#"{"bodyBytes": 10, "capsuleBytes": 0}"#, false),
        ("limits", r#"{"bodyBytes": 10, "capsuleBytes": 1}"#, true),
        ("limits", r#"{"bodyBytes": 10, "capsuleBytes": 10}"#, true),
        ("limits", r#"{"bodyBytes": 10, "capsuleBytes": 11}"#, false),
        ("limits", r#"{"capsuleBytes": 10, "unauthenticatedBytes": 39}"#, false),
        ("limits", r#"{"capsuleBytes": 10, "unauthenticatedBytes": 40}"#, true),
        ("limits", r#"{"answerBytesPerSecond": 0}"#, false),
        ("limits", r#"{"answerSeconds": 0}"#, false),
        ("peers", r#"{"address": "none"}"#, true),
        ("peers", r#"{"address": "proxyProtocol", "proxies": ["10.0.0.1", "fd00::/8"]}"#, true),
        ("publications", r#"{"pollSeconds": 0}"#, false),
        ("publications", r#"{"pollSeconds": 1}"#, true),
        ("publications", r#"{"pollSeconds": 3600}"#, true),
        ("publications", r#"{"pollSeconds": 3601}"#, false),
        ("issuer", r#"{"overlapHours": 167}"#, false),
        ("issuer", r#"{"overlapHours": 168}"#, true),
        ("issuer", r#"{"rotationDays": 3, "overlapHours": 576}"#, true),
        ("issuer", r#"{"rotationDays": 3, "overlapHours": 577}"#, false),
        ("gateway", r#"{"hosts": ["a"], "rotationDays": 0}"#, false),
        ("gateway", r#"{"hosts": ["a"], "rotationDays": 1}"#, true),
        ("gateway", r#"{"hosts": ["a"], "rotationDays": 3650, "overlapDays": 3650}"#, true),
        ("gateway", r#"{"hosts": ["a"], "rotationDays": 3651}"#, false),
        ("gateway", r#"{"hosts": ["a"], "overlapDays": 3651}"#, false),
    ] {
        let valid = valid && (key != "gateway" || Feature::Gateway.is_built_in());
        assert_eq!(is_valid(&with(key, value)), valid, "{key} {value}");
    }
}

/// A time that is added to the present must lead to a point in time.
#[test]
fn times_are_limited_to_a_day() {
    for (part, key, unit) in [
        ("limits", "headerSeconds", 1),
        ("limits", "bodySeconds", 1),
        ("limits", "requestSeconds", 1),
        ("limits", "idleSeconds", 1),
        ("limits", "answerSeconds", 1),
        ("limits", "drainSeconds", 1),
        ("limits", "waitMilliseconds", 1000),
        ("userTokens", "cacheSeconds", 1),
        ("userTokens", "timeoutSeconds", 1),
    ] {
        let max = unit * timeout::MAX_SECONDS;
        for (value, valid) in [(max - 1, true), (max, true), (max + 1, false), (u64::MAX, false)] {
            let text = with(part, &format!("{{\"{key}\": {value}}}"));
            assert_eq!(is_valid(&text), valid, "{key} {value}");
        }
        let may_be_zero = ["drainSeconds", "cacheSeconds"].contains(&key);
        assert_eq!(is_valid(&with(part, &format!("{{\"{key}\": 0}}"))), may_be_zero, "{key}");
    }
}

#[test]
fn files_are_read_up_to_their_limit() {
    let folder = tempfile::tempdir().unwrap();
    let (path, users) = (folder.path().join("a.json"), folder.path().join("users.json"));
    let (mut text, mut groups) = (EXAMPLE.as_bytes().to_vec(), b"[]".to_vec());
    for (length, is_read) in [(MAX_FILE - 1, true), (MAX_FILE, true), (MAX_FILE + 1, false)] {
        let length = usize::try_from(length).unwrap();
        text.resize(length, b' ');
        std::fs::write(&path, &text).unwrap();
        assert_eq!(Configuration::read(&path).is_ok(), is_read, "{length}");
        groups.resize(length, b' ');
        std::fs::write(&users, &groups).unwrap();
        assert_eq!(read_users(&users).is_ok(), is_read, "{length}");
    }
}

#[test]
fn a_key_that_needs_a_feature_names_it() {
    let key = r#"{"databaseEncryptionKeyFilePath": "key"}"#;
    let symmetric = EXAMPLE
        .replace("\"shardCount\"", &format!("\"symmetricPirArguments\": {key}, \"shardCount\""));
    let origin = r#"{"origins": {"a": "https://a"}}"#;
    let needs_both = if Feature::Gateway.is_built_in() { Feature::Tls } else { Feature::Gateway };
    for (text, feature, at) in [
        (
            with("store", r#"{"redis": {"urls": ["redis://:secret@a"]}}"#),
            Feature::Redis,
            "store.redis",
        ),
        (with("tls", r#"{"certificate": "c.pem", "privateKey": "k.pem"}"#), Feature::Tls, "tls"),
        (with("userTokens", r#"{"url": "https://a"}"#), Feature::Tls, "userTokens.url"),
        (with("gateway", r#"{"hosts": ["a"]}"#), Feature::Gateway, "gateway"),
        (
            with("gateway", origin),
            needs_both,
            if needs_both == Feature::Tls { "gateway.origins.a" } else { "gateway" },
        ),
        (symmetric, Feature::Symmetric, "usecases[0].symmetricPirArguments"),
    ] {
        match Configuration::parse(text.as_bytes()) {
            Ok(_) => assert!(feature.is_built_in(), "{text}"),
            Err(error) => {
                assert!(!feature.is_built_in(), "{error}");
                let expected = format!("{at}: needs the feature `{feature}`");
                assert!(error.to_string().starts_with(&expected), "{error}\n{expected}");
            }
        }
    }
}

#[test]
fn clouds_need_their_feature() {
    let published = |address: &str| UseCase::from_publication("name", address).map(|_| ());
    for address in ["/folder", "folder", "file:///folder"] {
        published(address).unwrap();
    }
    for address in ["s3://bucket/a", "gs://bucket/a", "az://container/a"] {
        match (published(address), cfg!(feature = "cloud")) {
            (Ok(()), true) => {}
            (Err(ConfigurationError::Feature { feature: Feature::Cloud, .. }), false) => {}
            (other, _) => panic!("{address}: {other:?}"),
        }
    }
}

#[cfg(feature = "redis")]
#[test]
fn redis_has_three_topologies() {
    let redis = |settings: &str| with("store", &format!(r#"{{"redis": {{{settings}}}}}"#));
    let one = r#""urls": ["redis://a"]"#;
    let two = r#""urls": ["redis://:secret@a", "redis://b"]"#;
    for (settings, expected) in [
        (r#""urls": []"#.to_owned(), "store.redis.urls: at least one"),
        (two.to_owned(), "store.redis.urls: several addresses"),
        (
            format!(r#"{two}, "cluster": true, "sentinelMaster": "m""#),
            "store.redis.cluster: either",
        ),
        (format!(r#"{two}, "cluster": true, "replicas": 1"#), "store.redis.replicas: a cluster"),
        (format!(r#"{one}, "certificate": "c.pem""#), "store.redis.privateKey: it is missing"),
        (format!(r#"{one}, "privateKey": "k.pem""#), "store.redis.certificate: it is missing"),
        (
            format!(r#"{one}, "timeoutMilliseconds": 9"#),
            "store.redis.timeoutMilliseconds: a number",
        ),
        (format!(r#"{one}, "timeoutMilliseconds": 60001"#), "store.redis.timeoutMilliseconds: a"),
    ] {
        let error = error(&redis(&settings));
        assert!(error.starts_with(expected) && !error.contains("secret"), "{error}");
    }
    let topology = |settings: &str| {
        let read = Configuration::parse(redis(settings).as_bytes()).unwrap();
        read.store.redis.unwrap().topology
    };
    let single = RedisTopology::Single { url: "redis://a".to_owned(), replicas: 2 };
    assert!(topology(&format!(r#"{one}, "replicas": 2, "timeoutMilliseconds": 10"#)) == single);
    let urls = vec!["redis://a".to_owned()];
    let cluster = RedisTopology::Cluster { urls: urls.clone() };
    assert!(
        topology(&format!(r#"{one}, "cluster": true, "timeoutMilliseconds": 60000"#)) == cluster
    );
    let sentinel = RedisTopology::Sentinel { urls, primary: "m".to_owned(), replicas: 0 };
    assert!(topology(&format!(r#"{one}, "sentinelMaster": "m""#)) == sentinel);
}

#[test]
fn tiers_may_be_left_out_and_users_beside_another_source() {
    let parse = |text: &str| Configuration::parse(text.as_bytes());
    let read = parse(r#"{"users": [{"tokens": ["AAAA"]}], "usecases": []}"#).unwrap();
    assert_eq!(read.users[0].tier, Tier::Tier1);
    for source in
        [r#""file": "users.json""#, r#""command": ["who"]"#, r#""url": "http://127.0.0.1:1""#]
    {
        let text = format!(r#"{{"usecases": [], "userTokens": {{{source}}}}}"#);
        assert!(parse(&text).unwrap().users.is_empty(), "{source}");
    }
    assert!(parse(r#"{"usecases": [], "userTokens": {"cacheSeconds": 1}}"#).is_err());
}
