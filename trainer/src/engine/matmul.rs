//! How exactly matrix products are computed.

/// What the factors of matrix products are rounded to; what is trained, sums and everything else stay f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum MatmulPrecision {
    /// Not at all: exact f32
    #[default]
    F32,
    /// 10 bits behind the point, on tensor cores of a CUDA GPU
    Tf32,
    /// 7 bits behind the point, on tensor cores of a CUDA GPU
    Bf16,
}

impl MatmulPrecision {
    /// Every one, the most exact first.
    pub const ALL: [Self; 3] = [Self::F32, Self::Tf32, Self::Bf16];

    /// The word people use.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        }
    }
}
