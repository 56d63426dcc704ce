//! Lists of callers, their numbers, and identities as devices read them.
#![no_main]

use caller_id::{CallerRows, Icons, Identity, Number};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    for is_csv in [true, false] {
        let mut rows = CallerRows::new(Vec::new(), Vec::new());
        let added = match is_csv {
            true => rows.add_csv(input, &Icons::none()),
            false => rows.add_json(input, &Icons::none()),
        };
        if added.is_ok() {
            rows.finish().expect("memory can be written");
        }
    }
    if let Ok(identity) = Identity::from_bytes(input) {
        assert_eq!(Identity::from_bytes(&identity.to_bytes()), Ok(identity));
    }
    if let Ok(text) = std::str::from_utf8(input)
        && let Ok(number) = text.parse::<Number>()
    {
        assert_eq!(number.to_string().parse(), Ok(number));
    }
});
