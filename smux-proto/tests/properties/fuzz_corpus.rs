//! The fuzz targets' bodies over their corpus, without a fuzzer.
//!
//! The corpus holds the seeds, made from the recordings, and every input that once failed. After
//! changing the seeds, write them with `SMUX_WRITE_SEEDS=1 cargo test -p smux-proto --test
//! properties fuzz_corpus`.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use smux_conformance::fuzz;

type Body = fn(&[u8]);
const TARGETS: [(&str, Body); 3] = [
    ("raw_bytes", fuzz::raw_bytes),
    ("operations", fuzz::operations),
    ("frames", fuzz::frames),
];

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target)
}

fn corpus(target: &str) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder(target)).expect("the target has a corpus");
    let inputs = files.map(|file| {
        let file = file.expect("a file");
        let name = file.file_name().into_string().expect("a plain name");
        (name, fs::read(file.path()).expect("a readable file"))
    });
    inputs.collect()
}

#[test]
fn the_corpus_passes() {
    for (target, body) in TARGETS {
        let inputs = corpus(target);
        assert!(inputs.len() >= 20, "{target}");
        for (name, input) in inputs {
            println!("{target} {name}");
            body(&input);
        }
    }
}

#[test]
fn the_corpus_has_the_seeds() {
    for (target, seeds) in fuzz::seeds() {
        if env::var_os("SMUX_WRITE_SEEDS").is_some() {
            fs::create_dir_all(folder(target)).expect("the corpus can be written");
            for (name, input) in &seeds {
                fs::write(folder(target).join(name), input).expect("the corpus can be written");
            }
        }
        let inputs = corpus(target);
        for (name, input) in seeds {
            assert_eq!(inputs.get(&name), Some(&input), "{target}: {name}");
        }
    }
}
