use super::*;

const MINIMAL: &str = r#"{"rlweParameters": "n_4096_logq_27_28_28_logt_5",
    "inputDatabase": "in.txtpb", "outputDatabase": "db-SHARD_ID.bin",
    "outputPirParameters": "params-SHARD_ID.txtpb" MORE}"#;

fn parse(more: &str) -> Result<Configuration, ConfigurationError> {
    Configuration::parse(MINIMAL.replace("MORE", more).as_bytes())
}

/// What a person reads: the error and its causes.
fn told(error: ConfigurationError) -> String {
    let error: &dyn std::error::Error = &error;
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[test]
fn values_of_the_wrong_kind_are_named_by_their_path() {
    let error = parse(r#", "sharding": {"shardCount": "3"}"#).unwrap_err();
    assert_eq!(error.to_string(), "sharding.shardCount: not a valid value");
    let told_of = told(error);
    assert!(told_of.contains("a number is expected, not text (line "), "{told_of}");
    let set = |name: &str| {
        let text = MINIMAL.replace("n_4096_logq_27_28_28_logt_5", name).replace("MORE", "");
        Configuration::parse(text.as_bytes()).unwrap_err().to_string()
    };
    let unknown = set("n_1");
    assert!(unknown.contains("n_4096_logq_27_28_28_logt_5"), "{unknown}");
    assert!(!unknown.contains("insecure"), "{unknown}");
    let insecure = set("insecure_n_8_logq_5x18_logt_5");
    assert!(insecure.contains("queries under insecure_n_8"), "{insecure}");
    let error = Configuration::parse(b"{").unwrap_err();
    assert_eq!(error.to_string(), "not a valid configuration");
}

#[test]
fn where_the_manifest_is() {
    let manifest = |database: &str| {
        let text = MINIMAL.replace("db-SHARD_ID.bin", database).replace("MORE", "");
        Configuration::parse(text.as_bytes()).unwrap().manifest_path()
    };
    assert_eq!(manifest("dist/urls-SHARD_ID.bin"), PathBuf::from("dist/urls-manifest.json"));
    assert_eq!(manifest("dist/urls.bin"), PathBuf::from("dist/urls.manifest.json"));
}

#[test]
fn limits() {
    let minimal = MINIMAL.replace("MORE", "");
    for (length, is_read) in
        [(MAX_CONFIGURATION - 1, true), (MAX_CONFIGURATION, true), (MAX_CONFIGURATION + 1, false)]
    {
        let text = format!("{minimal}{}", " ".repeat(length - minimal.len()));
        assert_eq!(Configuration::parse(text.as_bytes()).is_ok(), is_read, "{length}");
    }
    for (shards, is_read) in [(MAX_SHARDS - 1, true), (MAX_SHARDS, true), (MAX_SHARDS + 1, false)] {
        let parsed = parse(&format!(r#", "sharding": {{"shardCount": {shards}}}"#));
        assert_eq!(parsed.is_ok(), is_read, "{shards}");
    }
    for functions in [MAX_HASH_FUNCTIONS - 1, MAX_HASH_FUNCTIONS, MAX_HASH_FUNCTIONS + 1] {
        let more = format!(r#", "cuckooTableArguments": {{"hashFunctionCount": {functions}}}"#);
        assert_eq!(parse(&more).is_ok(), functions <= MAX_HASH_FUNCTIONS, "{functions}");
    }
    let sharding = parse(r#", "sharding": {"entryCountPerShard": 1}"#).unwrap().sharding;
    for rows in [MAX_SHARDS - 1, MAX_SHARDS, MAX_SHARDS + 1] {
        assert_eq!(sharding.count(u64::from(rows)), rows.min(MAX_SHARDS));
    }
}

#[test]
fn defaults() {
    let configuration = parse("").unwrap();
    assert_eq!(configuration.plan.hash_functions, 2);
    assert_eq!(configuration.trials_per_shard, 1);
    assert_eq!(configuration.sharding.count(1_000_000), 1);
    assert_eq!(configuration.output_database.of_shard(7), PathBuf::from("db-7.bin"));
    assert_eq!(configuration.database_type, DatabaseType::Keyword);
}

#[test]
fn every_key() {
    let configuration = parse(
        r#", "databaseType": "keyword", "outputEvaluationKeyConfig": "keys.txtpb",
        "sharding": {"entryCountPerShard": 1000, "maxShardCount": 20, "requirePowerOfTwoShardCount": true},
        "shardingFunction": {"doubleMod": 5}, "algorithm": "mulPir", "keyCompression": "hybridCompression",
        "cuckooTableArguments": {"hashFunctionCount": 3, "maxEvictionCount": 7, "slotCount": 9,
          "maxSerializedBucketSize": 512, "bucketCount": {"allowExpansion": {"expansionFactor": 1.5, "targetLoadFactor": 0.5}}},
        "useMaxSerializedBucketSize": true, "trialsPerShard": 0, "unevenDimensions": false,
        "encodingEntrySize": false,"#,
    )
    .unwrap();
    assert_eq!(configuration.plan.max_bucket_size, Some(512));
    assert_eq!(configuration.plan.compression, KeyCompression::Hybrid);
    assert_eq!(configuration.sharding.count(5_500), 4);
    assert_eq!(configuration.sharding.count(500_000), 16);
    assert_eq!(configuration.sharding.count(3), 1);
    // 4 shards are right for 4000 to 7999 rows.
    for (rows, earlier, count) in
        [(8_500, 4, 4), (12_000, 4, 8), (3_300, 4, 4), (3_000, 4, 2), (7_900, 5, 4), (0, 1, 1)]
    {
        let chosen = configuration.sharding.choose(rows, Some(earlier), |_| 1.0);
        assert_eq!(chosen.count, count, "{rows}");
    }
    let fixed = parse(r#", "sharding": {"shardCount": 3}"#).unwrap().sharding;
    let chosen = fixed.choose(1_000_000, Some(5), |_| 1.0);
    assert_eq!((chosen.count, chosen.rounding), (3, None));
    assert!(parse(r#", "shardingFunction": {"sha256": null}"#).is_ok());
    assert!(parse(r#", "shardingFunction": {"sha256": {}}"#).is_ok());
    let fixed = r#", "cuckooTableArguments": {"bucketCount": {"fixedSize": {"bucketCount": 8}}}"#;
    assert_eq!(parse(fixed).unwrap().plan.buckets, BucketCount::Fixed(8));
}

/// With a cost in proportion to the rows: below, at and above a tenth more than was planned.
#[test]
fn powers_of_two_are_rounded_up_where_rounding_down_costs_more_than_a_tenth() {
    let more = r#", "sharding": {"entryCountPerShard": 1000, "requirePowerOfTwoShardCount": true}"#;
    let sharding = parse(more).unwrap().sharding;
    let cost = |rows: u64| rows as f64;
    for (rows, count) in [
        (999, 1),
        (1000, 1),
        (1099, 1),
        (1100, 1),
        (1101, 2),
        (1999, 2),
        (2200, 2),
        (2201, 4),
        (4400, 4),
        (4404, 8),
    ] {
        assert_eq!(sharding.choose(rows, None, cost).count, count, "{rows}");
    }
    let rounding = sharding.choose(1500, None, cost).rounding.unwrap();
    assert_eq!((rounding.rows_per_shard, rounding.other_count), (750, 1));
    assert_eq!((rounding.cost, rounding.other_cost), (0.75, 1.5));
    assert_eq!(sharding.choose(4000, None, cost).rounding, None);
    // A number that rounding down gave stays, and what it costs is said.
    let kept = sharding.choose(1500, Some(1), cost);
    assert_eq!(kept.count, 1);
    let rounding = kept.rounding.unwrap();
    assert_eq!((rounding.cost, rounding.other_count, rounding.other_cost), (1.5, 2, 0.75));
    // Not above the limit, and not without the power of two.
    let more = more.replace("1000,", "1000, \"maxShardCount\": 1,");
    assert_eq!(parse(&more).unwrap().sharding.choose(1900, None, cost).count, 1);
    let sharding = parse(r#", "sharding": {"entryCountPerShard": 1000}"#).unwrap().sharding;
    let chosen = sharding.choose(3900, None, cost);
    assert_eq!((chosen.count, chosen.rounding), (3, None));
}

#[test]
fn layouts_are_named_by_their_keys() {
    assert_eq!(parse("").unwrap().layout, Layout::Automatic);
    assert_eq!(parse(r#", "layout": "cheap""#).unwrap().layout, Layout::Cheap);
    for named in [
        r#", "layout": "reference""#,
        r#", "dimensions": "reference""#,
        r#", "unevenDimensions": true"#,
        r#", "useMaxSerializedBucketSize": false"#,
        r#", "cuckooTableArguments": {}"#,
    ] {
        let configuration = parse(named).unwrap();
        assert_eq!(configuration.layout, Layout::Configured, "{named}");
        assert_eq!(configuration.plan, parse("").unwrap().plan, "{named}");
    }
    let dimensions =
        |value: &str| parse(&format!(r#", "dimensions": {value}"#)).unwrap().plan.dimensions;
    assert_eq!(dimensions("[29, 13]"), DimensionRule::Fixed([29, 13]));
    assert_eq!(dimensions(r#""cheapest""#), DimensionRule::Cheapest);
    for (more, named) in [
        (r#", "layout": "cheap", "dimensions": "cheapest""#, "cuckooTableArguments"),
        (r#", "layout": "cheap", "databaseType": "index""#, "keyword databases"),
        (r#", "layout": "dear""#, "dear"),
        (r#", "dimensions": [29]"#, "cheapest"),
        (r#", "dimensions": [1, 2, 3]"#, "cheapest"),
    ] {
        let error = told(parse(more).unwrap_err());
        assert!(error.contains(named), "{more}: {error}");
    }
}

#[test]
fn mistakes_are_named() {
    for (more, named) in [
        (r#", "trialPerShard": 1"#, "trialPerShard"),
        (r#", "sharding": {"shards": 1}"#, "shards"),
        (r#", "sharding": {}"#, "exactly one"),
        (r#", "sharding": {"shardCount": 0}"#, "shardCount"),
        (r#", "sharding": {"shardCount": 3, "requirePowerOfTwoShardCount": true}"#, "power of two"),
        (r#", "sharding": {"shardCount": 3, "maxShardCount": 2}"#, "maxShardCount"),
        (r#", "sharding": {"entryCountPerShard": 0}"#, "entryCountPerShard"),
        (r#", "shardingFunction": {"doubleMod": 0}"#, "shardingFunction"),
        (r#", "shardingFunction": {"md5": 1}"#, "md5"),
        (r#", "cuckooTableArguments": {"slotCount": 256}"#, "slotCount"),
        (r#", "cuckooTableArguments": {"slots": 2}"#, "slots"),
        (r#", "cuckooTableArguments": {"hashFunctionCount": 0}"#, "hashFunctionCount"),
        (
            r#", "cuckooTableArguments": {"bucketCount": {"fixedSize": {"bucketCount": 8, "x": 1}}}"#,
            "x",
        ),
        (r#", "algorithm": "aclsPir""#, "aclsPir"),
        (r#", "keyCompression": "none""#, "none"),
        (r#", "encodingEntrySize": true"#, "encodingEntrySize"),
        (r#", "symmetricPirArguments": {}"#, "symmetricPirArguments"),
        (
            r#", "symmetricPirArguments": {"databaseEncryptionKeyFilePath": "k", "configType": "x"}"#,
            "configType",
        ),
    ] {
        let error = told(parse(more).unwrap_err());
        assert!(error.contains(named), "{more}: {error}");
    }
    let no_id =
        MINIMAL.replace("db-SHARD_ID", "db").replace("MORE", r#", "sharding": {"shardCount": 2}"#);
    let error = Configuration::parse(no_id.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("outputDatabase") && error.contains("SHARD_ID"), "{error}");
    let unknown = MINIMAL.replace("logt_5", "logt_7").replace("MORE", "");
    let error = Configuration::parse(unknown.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("logt_7") && error.contains("n_8192_logq_3x55_logt_24"), "{error}");
    assert!(Configuration::parse(b"{").is_err());
    assert!(Configuration::parse(&vec![b' '; MAX_CONFIGURATION + 1]).is_err());
}

#[test]
fn commas_before_brackets() {
    let json = br#"{"a": [1, 2 , ] , "b": ",]\",}" , }"#;
    let value: serde_json::Value = serde_json::from_slice(&without_trailing_commas(json)).unwrap();
    assert_eq!(value, serde_json::json!({"a": [1, 2], "b": ",]\",}"}));
    // Only one comma, and only before a bracket.
    assert!(
        serde_json::from_slice::<serde_json::Value>(&without_trailing_commas(b"[1,,]")).is_err()
    );
    assert!(
        serde_json::from_slice::<serde_json::Value>(&without_trailing_commas(b"[1,2],")).is_err()
    );
}
