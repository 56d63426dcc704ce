use super::*;
use crate::diagnose::deviation::KeyVariant;
use filter_core::bloom::Sizing;

const SEED: u32 = 99;

fn keys() -> Vec<String> {
    let mut keys: Vec<String> = (0..44).map(|i| format!("host{i}.example/path{i}")).collect();
    keys.push("xn--bcher-kva.example".into());
    keys
}

fn known(keys: &[String]) -> Description {
    let mut description = Description::default();
    description.item_count = Some(keys.len() as u64);
    description.false_positive_tolerance = Some(0.003);
    description
}

fn stated(keys: &[String]) -> Parameters {
    Sizing::Ceil.parameters(keys.len() as u64, 0.003, SEED).unwrap()
}

/// Looks for `asked` in bits made from `keys` with a mistake that the file does not mention.
fn diagnosed(mistake: &Hypothesis, keys: &[String], asked: &[String], seeds: &[u32]) -> Diagnosis {
    let stated = stated(keys);
    let (keys_as_written, refused) = candidates(keys, &SubUrlRule::default());
    assert!(refused.is_empty());
    let bytes = mistake.rebuild(stated.byte_count(), &keys_as_written);
    diagnose(stated, &bytes, &known(keys), asked, seeds)
}

fn right(keys: &[String]) -> Hypothesis {
    let stated = stated(keys);
    Hypothesis {
        beta_fnv: false,
        msb_first: false,
        unwrapped: false,
        seed: SEED,
        bits: stated.bit_count(),
        hashes: stated.hash_count(),
        variant: None,
    }
}

#[test]
fn each_mistake_is_named() {
    let keys = keys();
    let right = right(&keys);
    let rounded = Sizing::Round.parameters(keys.len() as u64, 0.003, SEED).unwrap();
    assert!(rounded.bit_count() < right.bits && rounded.hash_count() < right.hashes);
    for (mistake, expected) in [
        (right.clone(), vec![]),
        (Hypothesis { beta_fnv: true, ..right.clone() }, vec![Deviation::BetaFnv]),
        (Hypothesis { msb_first: true, ..right.clone() }, vec![Deviation::BitOrder]),
        (Hypothesis { unwrapped: true, ..right.clone() }, vec![Deviation::UnwrappedArithmetic]),
        (Hypothesis { seed: 7, ..right.clone() }, vec![Deviation::Seed(7)]),
        (
            Hypothesis { bits: rounded.bit_count(), ..right.clone() },
            vec![Deviation::BitCount(rounded.bit_count())],
        ),
        (
            Hypothesis { hashes: rounded.hash_count(), ..right.clone() },
            vec![Deviation::HashCount(rounded.hash_count())],
        ),
        (
            Hypothesis { variant: Some(KeyVariant::Https), unwrapped: true, ..right.clone() },
            vec![Deviation::UnwrappedArithmetic, Deviation::KeyVariant(KeyVariant::Https)],
        ),
        (
            Hypothesis { variant: Some(KeyVariant::LineFeed), ..right.clone() },
            vec![Deviation::KeyVariant(KeyVariant::LineFeed)],
        ),
    ] {
        let diagnosis = diagnosed(&mistake, &keys, &keys, &[7, 8]);
        let explanation = diagnosis.explanation.clone().unwrap();
        assert_eq!(explanation.deviations, expected);
        assert!(explanation.reproduces && explanation.is_conclusive());
        assert_eq!(diagnosis.is_healthy(), expected.is_empty());
    }
}

#[test]
fn keys_that_were_never_inserted_are_not_explained() {
    let inserted = keys();
    let right = right(&inserted);
    let others: Vec<String> = (0..30).map(|i| format!("other{i}.test")).collect();
    let diagnosis = diagnosed(&right, &inserted, &others, &[1, 2, 3]);
    assert!(diagnosis.explanation.is_none() && diagnosis.present < 3);
    assert_eq!(diagnosis.missing.len(), 10);
    let half: Vec<String> = inserted.iter().take(20).chain(&others).cloned().collect();
    assert!(diagnosed(&right, &inserted, &half, &[]).explanation.is_none());
}

#[test]
fn unnormalised_keys_are_recognised() {
    let given: Vec<String> = (0..40).map(|i| format!("https://WWW.Host{i}.example/Path")).collect();
    let mistake = Hypothesis { variant: Some(KeyVariant::AsGiven), ..right(&given) };
    let diagnosis = diagnosed(&mistake, &given, &given, &[]);
    assert_eq!(
        diagnosis.explanation.unwrap().deviations,
        [Deviation::KeyVariant(KeyVariant::AsGiven)]
    );
}

#[test]
fn a_single_key_in_a_full_filter_proves_nothing() {
    let stated = Parameters::new(8, 1, 0).unwrap();
    let missing = (0..100)
        .map(|i| format!("a{i}.example"))
        .find(|key| stated.indices(key.as_bytes()).eq([7]))
        .unwrap();
    let diagnosis = diagnose(stated, &[0x7f], &Description::default(), &[missing], &[]);
    assert!(!diagnosis.is_healthy());
    assert!(!diagnosis.explanation.unwrap().is_conclusive());
}

#[test]
fn rows_as_they_are_are_found_and_keys_that_build_refuses_are_told_apart() {
    let rows =
        ["example.com/a/", ONBOARDING_ENTRY, "example.com/B", "x.example"].map(str::to_owned);
    let stated = stated(&rows);
    let mut filter = filter_core::bloom::BloomFilter::empty(stated);
    filter.insert_all(rows.iter().map(String::as_bytes));
    let mut asked = rows.to_vec();
    asked.extend(["com", "not a host", "WWW.X.example"].map(str::to_owned));
    let diagnosis = diagnose(stated, filter.bytes(), &Description::default(), &asked, &[]);
    assert!(diagnosis.is_healthy(), "{diagnosis:?}");
    assert_eq!((diagnosis.keys, diagnosis.refused), (5, 2));
    assert_eq!(diagnosis.refused_examples[0], ("com".to_owned(), Refusal::SingleLabel));
}

/// Diagnoses a filter of `inserted` for `asked`, and the numbers of keys, found ones and refused ones.
fn counts(inserted: &[&str], asked: &[&str]) -> (Diagnosis, [usize; 3]) {
    let stated = Sizing::Round.parameters(inserted.len() as u64, 1e-6, SEED).unwrap();
    let mut filter = filter_core::bloom::BloomFilter::empty(stated);
    filter.insert_all(inserted.iter().map(|key| key.as_bytes()));
    let diagnosis = diagnose(stated, filter.bytes(), &Description::default(), asked, &[]);
    let numbers = [diagnosis.keys, diagnosis.present, diagnosis.refused];
    (diagnosis, numbers)
}

#[test]
fn keys_that_builds_leave_out_are_not_missing() {
    let asked =
        ["a.com", "co.uk", "photo.jpg", "b.com", "0.0.0.0", "apple.com", "a.com b", "c.com"];
    let (diagnosis, numbers) = counts(&["a.com", "b.com", "c.com"], &asked);
    assert!(diagnosis.is_healthy(), "{diagnosis:?}");
    assert_eq!(numbers, [3, 3, 5]);
    for (key, refusal) in [
        ("co.uk", Refusal::PublicSuffix),
        ("photo.jpg", Refusal::UnknownSuffix),
        ("0.0.0.0", Refusal::SinkAddress),
        ("apple.com", Refusal::Protected),
    ] {
        assert!(diagnosis.refused_examples.contains(&(key.to_owned(), refusal)), "{key}");
    }
    // An option allows them.
    let (diagnosis, numbers) = counts(&asked, &asked[..6]);
    assert!(diagnosis.is_healthy(), "{diagnosis:?}");
    assert_eq!(numbers, [6, 6, 0]);
    // A key that is missing is missing.
    let (diagnosis, numbers) = counts(&["a.com", "b.com"], &asked);
    assert!(!diagnosis.is_healthy());
    assert_eq!((numbers, diagnosis.missing), ([3, 2, 5], vec!["c.com".to_owned()]));
}

#[test]
fn a_mistake_is_named_although_builds_leave_keys_out() {
    let keys = keys();
    let mut asked = keys.clone();
    asked.push("co.uk".to_owned());
    for inserted in [&keys, &asked] {
        let mistake = Hypothesis { seed: 7, ..right(inserted) };
        let explanation = diagnosed(&mistake, inserted, &asked, &[7]).explanation.unwrap();
        assert_eq!(explanation.deviations, [Deviation::Seed(7)]);
        assert!(explanation.is_conclusive());
    }
}

#[test]
fn a_row_that_26_asks_for_is_a_key() {
    let (diagnosis, numbers) = counts(&["com", "x.example"], &["com", "x.example"]);
    assert!(diagnosis.is_healthy(), "{diagnosis:?}");
    assert_eq!(numbers, [2, 2, 0]);
    let (diagnosis, numbers) = counts(&["x.example"], &["com", "x.example"]);
    assert!(diagnosis.is_healthy());
    assert_eq!(numbers, [1, 1, 1]);
    assert_eq!(diagnosis.refused_examples, [("com".to_owned(), Refusal::SingleLabel)]);
}

#[test]
fn few_keys_are_named() {
    let inserted = keys();
    for count in [MAX_MISSING - 1, MAX_MISSING, MAX_MISSING + 1] {
        let asked: Vec<String> = (0..count).map(|i| format!("absent{i}.example")).collect();
        let found = diagnosed(&right(&inserted), &inserted, &asked, &[]);
        assert_eq!(
            (found.keys - found.present, found.missing.len()),
            (count, count.min(MAX_MISSING))
        );
        let refused: Vec<String> = (0..count).map(|i| format!("label{i}")).collect();
        let found = diagnosed(&right(&inserted), &inserted, &refused, &[]);
        assert_eq!((found.refused, found.refused_examples.len()), (count, count.min(MAX_MISSING)));
    }
}

#[test]
fn what_is_likely_a_coincidence_is_not_conclusive() {
    for (chance, is_conclusive) in
        [(MAX_CHANCE.next_down(), true), (MAX_CHANCE, false), (MAX_CHANCE.next_up(), false)]
    {
        let explanation = Explanation { deviations: Vec::new(), reproduces: false, chance };
        assert_eq!(explanation.is_conclusive(), is_conclusive, "{chance}");
        assert!(Explanation { reproduces: true, ..explanation }.is_conclusive());
    }
}

/// Many ways of building are tried on few bits, so that one of them has a key by chance.
#[test]
fn a_key_that_was_never_inserted_into_a_tiny_filter_is_not_explained_for_certain() {
    let options = crate::builder::Options::default();
    let list = &b"bad.com\nx.org\n"[..];
    let built = crate::builder::Builder::new(options).add_list("list", list, None).unwrap();
    let prefilter = built.finish().unwrap().prefilter;
    let filter = prefilter.filter();
    let absent = ["nope.org", "never.net", "other.com", "else.org"];
    for absent in absent.map(str::to_owned).into_iter().chain((0..20).map(|i| format!("a{i}.com")))
    {
        let keys = ["bad.com", &absent];
        let (stated, description) = (filter.parameters(), prefilter.description());
        let diagnosis = diagnose(stated, filter.bytes(), description, &keys, &[]);
        let explanation = diagnosis.explanation.as_ref();
        assert!(explanation.is_none_or(|one| !one.is_conclusive()), "{absent}: {diagnosis:?}");
    }
}
