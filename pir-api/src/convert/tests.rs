use super::*;

/// A configuration with one shard, and its key configuration.
fn configuration() -> (api::pir::PirConfig, he::EvaluationKeyConfig) {
    let encryption = Parameters::predefined("n_4096_logq_27_28_28_logt_5").unwrap();
    let plan = keyword_pir::plan::Plan::new(encryption);
    let shard = plan.index_shard(10, 5, false).unwrap();
    let keys = he::EvaluationKeyConfig::from(&union_key_config([&shard]).unwrap());
    (config_message(&[shard]).unwrap(), keys)
}

#[test]
fn the_number_of_shards_is_bounded() {
    let (mut config, keys) = configuration();
    let shard_config = config.shard_configs.pop();
    for (shard_count, is_read) in [
        (0, false),
        (1, true),
        (MAX_SHARDS - 1, true),
        (MAX_SHARDS, true),
        (MAX_SHARDS + 1, false),
        (u32::MAX, false),
    ] {
        let fixed = api::pir::PirFixedShardConfig {
            shard_config: shard_config.clone(),
            shard_count: shard_count as _,
        };
        use api::pir::pir_shard_configs::ShardConfigs::RepeatedShardConfig;
        config.pir_shard_configs =
            Some(api::pir::PirShardConfigs { shard_configs: Some(RepeatedShardConfig(fixed)) });
        assert_eq!(config_shards(&config, &keys).is_ok(), is_read, "{shard_count}");
    }
    // The same, spelled out.
    config.pir_shard_configs = None;
    for (count, is_read) in [(MAX_SHARDS - 1, true), (MAX_SHARDS, true), (MAX_SHARDS + 1, false)] {
        config.shard_configs = vec![shard_config.clone().unwrap(); count as usize];
        let shards = distinct_shards(&config, &keys);
        let shards = shards.map(|shards| (shards.parameters.len(), shards.count)).ok();
        assert_eq!(shards, is_read.then_some((1, count)), "{count}");
    }
}

#[test]
fn the_number_of_galois_elements_is_bounded() {
    const MAX: usize = keyword_pir::MAX_GALOIS_ELEMENTS;
    let (_, keys) = configuration();
    for (count, is_read) in [(MAX - 1, true), (MAX, true), (MAX + 1, false), (400_000, false)] {
        let keys = he::EvaluationKeyConfig { galois_elements: vec![3; count], ..keys.clone() };
        assert_eq!(EvaluationKeyConfig::try_from(&keys).is_ok(), is_read, "{count}");
    }
}

#[test]
fn configurations_without_a_part_are_refused() {
    let (config, keys) = configuration();
    assert_eq!(config_shards(&config, &keys).unwrap().len(), 1);
    let mut without = config.clone();
    without.shard_configs.clear();
    assert!(matches!(config_shards(&without, &keys), Err(ConvertError::Missing("shard_configs"))));
    let mut without = config.clone();
    without.encryption_parameters = None;
    assert!(matches!(config_shards(&without, &keys), Err(ConvertError::Missing(_))));
    let mut other = keys;
    other.galois_elements.pop();
    assert!(matches!(config_shards(&config, &other), Err(ConvertError::Value { .. })));
    let none: [&ShardParameters; 0] = [];
    assert!(matches!(union_key_config(none), Err(ConvertError::Missing("a shard"))));
}
