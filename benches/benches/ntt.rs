//! Transforms beside those of `tfhe-ntt`.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up should stop")]

use bfv::Backend;
use bfv::ntt::NttTable;
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

const NARROW: u64 = 268_369_921;
const WIDE: u64 = 36_028_797_018_652_673;

fn narrow(c: &mut Criterion) {
    let start: Vec<u32> = (0..4096_u32).map(|i| i.wrapping_mul(2_654_435_761) >> 5).collect();
    for inverse in [false, true] {
        let direction = if inverse { "inverse" } else { "forward" };
        let mut group = c.benchmark_group(format!("ntt/4096_28_bits/{direction}"));
        for backend in Backend::available() {
            let table = NttTable::<u32>::new(4096, NARROW, backend).unwrap();
            let mut row = start.clone();
            table.forward(&mut row);
            group.bench_function(backend.name(), |b| {
                b.iter(|| match inverse {
                    false => table.forward(black_box(&mut row)),
                    true => table.inverse(black_box(&mut row)),
                });
            });
        }
        let plan = tfhe_ntt::prime32::Plan::try_new(4096, NARROW as u32).unwrap();
        let mut row = start.clone();
        group.bench_function("tfhe-ntt", |b| {
            b.iter(|| match inverse {
                false => plan.fwd(black_box(&mut row)),
                true => plan.inv(black_box(&mut row)),
            });
        });
        group.finish();
    }
}

fn wide(c: &mut Criterion) {
    let start: Vec<u64> =
        (0..8192_u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 9).collect();
    for inverse in [false, true] {
        let direction = if inverse { "inverse" } else { "forward" };
        let mut group = c.benchmark_group(format!("ntt/8192_55_bits/{direction}"));
        for backend in Backend::available() {
            let table = NttTable::<u64>::new(8192, WIDE, backend).unwrap();
            let mut row = start.clone();
            table.forward(&mut row);
            group.bench_function(backend.name(), |b| {
                b.iter(|| match inverse {
                    false => table.forward(black_box(&mut row)),
                    true => table.inverse(black_box(&mut row)),
                });
            });
        }
        let plan = tfhe_ntt::prime64::Plan::try_new(8192, WIDE).unwrap();
        let mut row = start.clone();
        group.bench_function("tfhe-ntt", |b| {
            b.iter(|| match inverse {
                false => plan.fwd(black_box(&mut row)),
                true => plan.inv(black_box(&mut row)),
            });
        });
        group.finish();
    }
}

criterion_group!(benches, narrow, wide);
criterion_main!(benches);
