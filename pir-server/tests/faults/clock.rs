//! The clock jumps, both ways.

use crate::support::{Case, Device, NOW, Running, Settings, at};
use crate::{CASE, all_configs, budget, chance, device};
use privacy_pass::Token;
use unix_clock::Clock;

const DAY: u64 = 86_400;

async fn is_accepted(device: &Device, token: &Token) -> bool {
    let response = device.post("/config", token, all_configs()).await.unwrap();
    match response.status().as_u16() {
        200 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs for minutes; URLFILTER_FAULTS sets how many"]
async fn the_clock_jumps_both_ways() {
    let jumps = budget();
    let mut chance = chance("clock");
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::new(vec![Case::new(CASE).install(folder.path(), "data")]);
    let running = Running::start(folder, settings).await;
    let device = device(&running.url, "someone");
    let (mut spent, mut unspent) = (Vec::<Token>::new(), Vec::<Token>::new());
    for jump in 0..jumps {
        let far = [60, 3600, DAY, 40 * DAY, 400 * DAY][chance.usize(..5)];
        let now = running.clock.now().unix_seconds();
        let now = match chance.u64(..2) {
            0 => now.saturating_add(chance.u64(..far)),
            _ => now.saturating_sub(chance.u64(..far)).max(NOW - 3000 * DAY),
        };
        running.clock.set(at(now));
        running.service.maintain().await.unwrap();
        // Spent tokens stay spent at any time.
        let first = spent.len().saturating_sub(40);
        for token in &spent[first..] {
            assert!(!is_accepted(&device, token).await, "jump {jump}: a token was accepted twice");
        }
        // An unspent token may still be accepted, once.
        if let Some(token) = unspent.pop()
            && is_accepted(&device, &token).await
        {
            spent.push(token);
        }
        // A device can get a new token, and it is accepted.
        let token = device.token().await;
        let token = token.unwrap_or_else(|| panic!("jump {jump}: no token"));
        match chance.u64(..3) {
            0 => unspent.push(token),
            _ => {
                assert!(is_accepted(&device, &token).await, "jump {jump}: a new token is refused");
                spent.push(token);
            }
        }
    }
    // The clock is right again.
    running.clock.set(at(NOW));
    running.service.maintain().await.unwrap();
    for token in &spent {
        assert!(!is_accepted(&device, token).await, "a token was accepted twice");
    }
    let token = device.token().await.expect("tokens are issued when the clock is right again");
    assert!(is_accepted(&device, &token).await);
    println!(
        "clock: {jumps} jumps of up to 400 days, a token after each, {} spent, 0 twice",
        spent.len()
    );
}
