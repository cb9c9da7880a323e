//! A training step of the fused engine takes no memory once its rooms are there.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering},
};

use rwf_trainer::{
    engine::{AdamStep, Batch, Engine, FusedEngine, Loss, Samples},
    network::{ArchitectureKind, MappingConfig, Network, NetworkConfig},
    rng::Rng,
};

/// The system's allocator, and how often it was asked.
struct Counting;

static ASKED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as this function's own.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as this function's own.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn steps_take_no_memory() {
    // One thread: a pool's hand-over of work is its own.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let mapping = MappingConfig::Gaussian { frequencies: 16, scale: 1.0 };
    for (kind, mapping) in [
        (ArchitectureKind::Mlp, MappingConfig::None),
        (ArchitectureKind::Siren, MappingConfig::None),
        (ArchitectureKind::ModifiedMlp, mapping),
    ] {
        let config = NetworkConfig { mapping, ..NetworkConfig::new(kind, 24, 2) };
        let (network, start) = Network::new(&config, 2, 1, &mut Rng::new(0)).unwrap();
        let mut engine = FusedEngine::new(&network, &start).unwrap();
        let (x, y) = (vec![0.25; 2 * 500], vec![0.5; 500]);
        engine.load(&x, &y).unwrap();
        let indices: Vec<u32> = (0..400).collect();
        let mut step = |n: u64| {
            let adam = AdamStep {
                learning_rate: 1e-3,
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
                weight_decay: 0.0,
                clip: None,
                step: n,
            };
            engine.step(Batch::Full, Loss::MeanSquaredError, &adam).unwrap();
            engine.observe(&x, &Samples::new(Loss::MeanSquaredError, &y, 1), 1.0).unwrap();
            engine.step(Batch::Indices(&indices), Loss::MeanSquaredError, &adam).unwrap();
        };
        pool.install(|| (1..4).for_each(&mut step));
        let before = ASKED.load(Ordering::Relaxed);
        pool.install(|| (4..8).for_each(&mut step));
        // Entering the pool from outside may take a little.
        assert!(ASKED.load(Ordering::Relaxed) - before < 4, "{kind:?}: {}", ASKED.load(Ordering::Relaxed) - before);
    }
}
