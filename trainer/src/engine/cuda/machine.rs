//! What kernels run on: a GPU, or in tests the host.

use crate::error::Result;

/// A place in the machine's memory.
pub(super) type Pointer = u64;

/// A kernel by its name in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kernel {
    /// Points through the network and back.
    Tile,
    /// Their jets.
    Jet,
    /// Trained numbers to dense layers.
    Materialize,
    /// Dense gradients to those of trained numbers.
    PullBack,
    /// The gradient of slopes that a layer shares.
    SharedSlopes,
    /// Sums over blocks.
    Gather,
    /// The optimizer.
    Adam,
}

impl Kernel {
    /// Its name in the source.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tile => "tile",
            Self::Jet => "jet",
            Self::Materialize => "materialize",
            Self::PullBack => "pull_back",
            Self::SharedSlopes => "shared_slopes",
            Self::Gather => "gather",
            Self::Adam => "adam",
        }
    }
}

/// Compiled kernels of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Module(pub(super) usize);

/// Launches that a machine has recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Graph(pub(super) usize);

/// One kernel with all it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Launch {
    pub(super) module: Module,
    pub(super) kernel: Kernel,
    /// Blocks.
    pub(super) grid: usize,
    /// Bytes of shared memory beside what the kernel declares.
    pub(super) shared: usize,
    /// Each argument's bytes from the lowest on.
    pub(super) arguments: Vec<u64>,
}

/// An integer as an argument.
pub(super) fn int(value: usize) -> u64 {
    value as u32 as u64
}

/// A float as an argument.
pub(super) fn float(value: f32) -> u64 {
    u64::from(value.to_bits())
}

/// What decides how work is shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Properties {
    /// Multiprocessors.
    pub(super) multiprocessors: usize,
    /// Most shared memory of a block, in bytes.
    pub(super) shared_per_block: usize,
    /// Shared memory of a multiprocessor, in bytes.
    pub(super) shared_per_multiprocessor: usize,
}

/// Memory, and kernels that run one after the other. Whatever fails is [`Error::Device`](crate::error::Error::Device).
pub(super) trait Machine {
    /// What decides how work is shared out.
    fn properties(&self) -> Properties;

    /// Compiles kernels.
    fn load(&self, source: &str, kernels: &[Kernel]) -> Result<Module>;

    /// Memory that holds anything.
    fn allocate(&self, bytes: usize) -> Result<Pointer>;

    /// Gives memory back.
    fn free(&self, pointer: Pointer);

    /// Zeros.
    fn clear(&self, to: Pointer, bytes: usize) -> Result<()>;

    /// From the host.
    fn upload(&self, to: Pointer, bytes: &[u8]) -> Result<()>;

    /// To the host, after all that was launched.
    fn download(&self, from: Pointer, bytes: &mut [u8]) -> Result<()>;

    /// Runs a kernel behind what was launched before.
    fn launch(&self, launch: &Launch) -> Result<()>;

    /// Records launches as one.
    fn record(&self, launches: &[Launch]) -> Result<Graph>;

    /// Runs what was recorded, behind what was launched before.
    fn replay(&self, graph: Graph) -> Result<()>;
}
