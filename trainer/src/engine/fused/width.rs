//! Tests only: a kernel at every width of vectors there is, on any machine.

use pulp::{Arch, Scalar, Scalar128b, Scalar256b, Scalar512b, Simd, WithSimd};

/// Lanes of a vector.
#[derive(Debug, Clone, Copy)]
pub(super) enum Width {
    /// What this machine has.
    Native,
    One,
    Four,
    Eight,
    Sixteen,
}

impl Width {
    pub(super) const ALL: [Self; 5] = [Self::Native, Self::One, Self::Four, Self::Eight, Self::Sixteen];

    /// Runs `op` with vectors of this width.
    pub(super) fn run<Op: WithSimd>(self, op: Op) -> Op::Output {
        match self {
            Self::Native => Arch::new().dispatch(op),
            Self::One => Scalar::new().vectorize(op),
            Self::Four => Scalar128b.vectorize(op),
            Self::Eight => Scalar256b.vectorize(op),
            Self::Sixteen => Scalar512b.vectorize(op),
        }
    }
}
