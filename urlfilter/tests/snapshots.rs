//! `--help` of each command and reports on the samples are what is checked in.
//!
//! After a change that is meant: `TRYCMD=overwrite cargo test -p urlfilter --test snapshots`, and read the diff.

#[test]
fn help_and_reports_are_those_checked_in() {
    trycmd::TestCases::new().case("tests/cmd/help/*.trycmd").case("tests/cmd/*.trycmd");
}
