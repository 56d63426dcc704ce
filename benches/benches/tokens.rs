//! Tokens: what issuing and verifying one costs, and what the client does.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up should stop")]

use criterion::{Criterion, criterion_group, criterion_main};
use privacy_pass::{IssuerKey, PendingToken, TokenChallenge};
use std::hint::black_box;

fn tokens(c: &mut Criterion) {
    let issuer = IssuerKey::generate().unwrap();
    let challenge = TokenChallenge::for_issuer("issuer.example").unwrap();
    let pending = PendingToken::new(&challenge, issuer.public()).unwrap();
    let request = pending.request();
    let token = pending.finalize(&issuer.issue(&request).unwrap()).unwrap();
    let mut group = c.benchmark_group("tokens");
    group.bench_function("issue", |b| b.iter(|| issuer.issue(black_box(&request)).unwrap()));
    group.bench_function("verify", |b| {
        b.iter(|| issuer.public().verify(black_box(&token)).unwrap());
    });
    group.bench_function("blind", |b| {
        b.iter(|| PendingToken::new(black_box(&challenge), issuer.public()).unwrap());
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30);
    targets = tokens
}
criterion_main!(benches);
