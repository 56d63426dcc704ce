//! A layout as the configuration of `process` has it.

use keyword_pir::cuckoo::BucketCount;
use keyword_pir::plan::Plan;
use keyword_pir::shape::DimensionRule;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

/// A layout as the configuration of `process` has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    plan: Plan,
    has_room_to_grow: bool,
}

impl Settings {
    /// A plan of a predefined parameter set.
    pub(super) fn new(plan: Plan, has_room_to_grow: bool) -> Option<Self> {
        plan.encryption.name()?;
        Some(Self { plan, has_room_to_grow })
    }

    /// The layout as a plan.
    #[must_use]
    pub fn plan(&self) -> Plan {
        self.plan.clone()
    }

    /// Name of the parameter set.
    #[must_use]
    pub fn set(&self) -> &'static str {
        self.plan.encryption.name().unwrap_or_default()
    }

    /// Number of hash functions.
    #[must_use]
    pub fn hash_functions(&self) -> usize {
        self.plan.hash_functions
    }

    /// Largest size of a bucket, in bytes; `None` if it follows from the values.
    #[must_use]
    pub fn bucket_bytes(&self) -> Option<usize> {
        self.plan.max_bucket_size
    }

    /// Whether it is the layout of the reference's tool.
    #[must_use]
    pub fn is_reference(&self) -> bool {
        self.plan == Plan::new(self.plan.encryption.clone())
    }

    pub(super) fn has_room_to_grow(&self) -> bool {
        self.has_room_to_grow
    }

    /// The keys of the configuration that name the parameter set and the layout.
    fn keys(&self) -> Value {
        if self.is_reference() {
            return json!({"rlweParameters": self.set(), "layout": "reference"});
        }
        let mut cuckoo = json!({"hashFunctionCount": self.plan.hash_functions});
        if let Some(size) = self.plan.max_bucket_size {
            cuckoo["maxSerializedBucketSize"] = json!(size);
        }
        cuckoo["bucketCount"] = match self.plan.buckets {
            BucketCount::Expandable { expansion_factor, target_load_factor } => json!({
                "allowExpansion": {
                    "expansionFactor": expansion_factor,
                    "targetLoadFactor": target_load_factor,
                },
            }),
            BucketCount::Fixed(count) => json!({"fixedSize": {"bucketCount": count}}),
        };
        let dimensions = match self.plan.dimensions {
            DimensionRule::Reference => json!("reference"),
            DimensionRule::Cheapest => json!("cheapest"),
            DimensionRule::Fixed(dimensions) => json!(dimensions),
        };
        json!({
            "rlweParameters": self.set(),
            "cuckooTableArguments": cuckoo,
            "useMaxSerializedBucketSize": self.plan.use_max_bucket_size,
            "dimensions": dimensions,
        })
    }

    /// The text of a configuration of `process` with this layout.
    ///
    /// `input` is the path of the rows, `stem` the start of the names of all files that are made, such as `dist/urls`.
    #[must_use]
    pub fn configuration(&self, input: &str, stem: &str, rows: u64, shard_count: u32) -> String {
        let mut configuration = self.keys();
        configuration["inputDatabase"] = json!(input);
        configuration["outputDatabase"] = json!(format!("{stem}-SHARD_ID.bin"));
        configuration["outputPirParameters"] = json!(format!("{stem}-SHARD_ID.params.txtpb"));
        // Rounded down, so that these rows make this number of shards.
        configuration["sharding"] = json!({
            "entryCountPerShard": (rows / u64::from(shard_count.max(1))).max(1),
            "requirePowerOfTwoShardCount": true,
        });
        format!("{configuration:#}\n")
    }
}

/// The keys of the configuration.
impl Serialize for Settings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.keys().serialize(serializer)
    }
}
