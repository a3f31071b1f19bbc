//! The core alone: `cargo bench`.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use smux_benches::Pair;
use smux_proto::{BufferPool, Version};

const LARGE: usize = 32 << 10;
const SMALL: usize = 64;
/// Messages a round: of the large ones a few batches, of the small ones enough to share a write.
const LARGE_ROUND: usize = 4;
const SMALL_ROUND: usize = 64;
const OPEN: [usize; 4] = [1, 100, 10_000, 100_000];

fn large_frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("32 KiB frames");
    group.throughput(Throughput::Bytes((LARGE * LARGE_ROUND) as u64));
    group.bench_function("two memory copies", |b| {
        let from = vec![0x5a_u8; LARGE * LARGE_ROUND];
        let (mut via, mut to) = (from.clone(), from.clone());
        b.iter(|| {
            via.copy_from_slice(black_box(&from));
            to.copy_from_slice(black_box(&via));
            black_box(&mut to);
        });
    });
    group.bench_function("out", |b| {
        let mut pair = Pair::new(Version::V1, 1, LARGE);
        b.iter(|| pair.frames_out(LARGE_ROUND));
    });
    group.bench_function("in", |b| {
        let mut pair = Pair::new(Version::V1, 1, LARGE);
        let wire = pair.wire(LARGE_ROUND);
        b.iter(|| pair.frames_in(&wire));
    });
    for version in [Version::V1, Version::V2] {
        group.bench_function(format!("through, {version:?}"), |b| {
            let mut pair = Pair::new(version, 1, LARGE);
            b.iter(|| pair.through(LARGE_ROUND));
        });
        group.bench_function(format!("through and read in place, {version:?}"), |b| {
            let mut pair = Pair::new(version, 1, LARGE);
            b.iter(|| pair.through_in_place(LARGE_ROUND));
        });
    }
    group.finish();
}

fn small_frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("64-byte frames");
    group.throughput(Throughput::Elements(SMALL_ROUND as u64));
    for streams in OPEN {
        group.bench_function(BenchmarkId::new("out", streams), |b| {
            let mut pair = Pair::new(Version::V1, streams, SMALL);
            b.iter(|| pair.frames_out(SMALL_ROUND));
        });
        group.bench_function(BenchmarkId::new("in", streams), |b| {
            let mut pair = Pair::new(Version::V1, streams, SMALL);
            let wire = pair.wire(SMALL_ROUND);
            b.iter(|| pair.frames_in(&wire));
        });
        group.bench_function(BenchmarkId::new("through, V2", streams), |b| {
            let mut pair = Pair::new(Version::V2, streams, SMALL);
            b.iter(|| pair.through(SMALL_ROUND));
        });
    }
    group.finish();
}

fn open_close(c: &mut Criterion) {
    let mut group = c.benchmark_group("open and close");
    group.throughput(Throughput::Elements(SMALL_ROUND as u64));
    for streams in OPEN {
        group.bench_function(BenchmarkId::from_parameter(streams), |b| {
            let mut pair = Pair::new(Version::V1, streams, SMALL);
            b.iter(|| pair.open_close(SMALL_ROUND));
        });
    }
    group.finish();
}

/// As the reference's `BenchmarkAlloc`: sizes 0 to 65 535 in turn.
fn pool(c: &mut Criterion) {
    c.bench_function("pool: get and put", |b| {
        let mut pool = BufferPool::new(1 << 20);
        let mut size = 0;
        b.iter(|| {
            size = (size + 1) % 65_536;
            if let Some(buffer) = pool.get(black_box(size)) {
                pool.put(buffer).expect("its own buffer");
            }
        });
    });
}

criterion_group!(core, large_frames, small_frames, open_close, pool);
criterion_main!(core);
