//! Which back end a process uses, and what it says about a variable that names none.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a test fails by panicking")]

use bfv::{BACKEND_VARIABLE, Backend, Context, Error, Parameters};
use std::env;
use std::process::Command;

fn context() -> Result<Context<u32>, Error> {
    Context::new(Parameters::predefined("insecure_n_8_logq_5x18_logt_5").unwrap())
}

#[test]
fn the_back_end_in_use_is_the_one_that_was_asked_for() {
    let asked = env::var(BACKEND_VARIABLE).ok().filter(|name| !name.is_empty());
    let used = context().unwrap().backend();
    println!("back end: {}", used.name());
    assert_eq!(used, Backend::detect().unwrap());
    match asked.as_deref() {
        Some(name) => assert_eq!(Some(used), Backend::by_name(name)),
        None => assert_eq!(Some(used), Backend::available().pop()),
    }
}

/// Runs itself again in a process with a wrong value.
#[test]
fn an_unknown_back_end_is_refused() {
    const WRONG: &str = "axv2";
    if env::var(BACKEND_VARIABLE).as_deref() == Ok(WRONG) {
        assert!(matches!(context().err(), Some(Error::Backend(error)) if error.name() == WRONG));
        return;
    }
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "an_unknown_back_end_is_refused"])
        .env(BACKEND_VARIABLE, WRONG)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}
