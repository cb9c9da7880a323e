//! Activations inside autograd: on the CPU by the runtime's own vectorised routines, elsewhere by tensor operations.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;
use rwf_runtime::{
    activation,
    format::{Activation, MathBackend},
};

/// Values one thread takes at a time; what a value becomes does not depend on it.
const CHUNK: usize = 16 * 1024;

/// `activation` of every value of `x`, differentiable.
pub(super) fn apply(x: &Tensor, activation: Activation) -> Result<Tensor> {
    if activation == Activation::Identity {
        return Ok(x.clone());
    }
    if x.device().is_cpu() {
        return x.contiguous()?.apply_op1(Forward(activation));
    }
    composite(x, activation)
}

/// The same by candle's own operations, for devices the routines do not run on; the CPU path is tested against it.
fn composite(x: &Tensor, activation: Activation) -> Result<Tensor> {
    match activation {
        Activation::Identity => Ok(x.clone()),
        Activation::Relu => x.relu(),
        Activation::Tanh => x.tanh(),
        Activation::Sine => (x * std::f64::consts::TAU)?.sin(),
        Activation::Sigmoid => candle_nn::ops::sigmoid(x),
        // candle's `gelu` is the tanh form.
        Activation::Gelu => x.gelu(),
        Activation::Swish => candle_nn::ops::silu(x),
    }
}

/// y = act(x)
struct Forward(Activation);

impl CustomOp1 for Forward {
    fn name(&self) -> &'static str {
        "activation"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut y = slice(storage, layout)?.to_vec();
        y.par_chunks_mut(CHUNK).for_each(|y| activation::apply(MathBackend::Polynomial, self.0, y));
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let back = x.contiguous()?.apply_op2_no_bwd(&gradient.contiguous()?, &Backward(self.0))?;
        Ok(Some(back))
    }
}

/// dL/dx = dL/dy·act'(x)
struct Backward(Activation);

impl CustomOp2 for Backward {
    fn name(&self) -> &'static str {
        "activation-backward"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, gradient) = (slice(x, x_layout)?, slice(gradient, gradient_layout)?);
        let mut out = x.to_vec();
        out.par_chunks_mut(CHUNK).zip(gradient.par_chunks(CHUNK)).for_each(|(x, gradient)| {
            derivative(self.0, x);
            x.iter_mut().zip(gradient).for_each(|(d, g)| *d *= g);
        });
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }
}

/// act'(x) of every value in place.
fn derivative(kind: Activation, values: &mut [f32]) {
    let of = |kind, x: &[f32]| {
        let mut y = x.to_vec();
        activation::apply(MathBackend::Polynomial, kind, &mut y);
        y
    };
    match kind {
        Activation::Identity => values.fill(1.0),
        Activation::Relu => values.iter_mut().for_each(|x| *x = if *x > 0.0 { 1.0 } else { 0.0 }),
        Activation::Tanh => {
            activation::apply(MathBackend::Polynomial, kind, values);
            values.iter_mut().for_each(|y| *y = 1.0 - *y * *y);
        }
        Activation::Sine => {
            let mut cos = vec![0.0; values.len()];
            activation::sin_cos_turns(MathBackend::Polynomial, values, &mut cos);
            values.iter_mut().zip(cos).for_each(|(v, c)| *v = std::f32::consts::TAU * c);
        }
        Activation::Sigmoid => {
            activation::apply(MathBackend::Polynomial, kind, values);
            values.iter_mut().for_each(|y| *y *= 1.0 - *y);
        }
        Activation::Gelu => {
            const K: f32 = 0.797_884_6;
            let inner: Vec<f32> = values.iter().map(|&x| K * (x + 0.044_715 * (x * x * x))).collect();
            let tanh = of(Activation::Tanh, &inner);
            values.iter_mut().zip(tanh).for_each(|(v, t)| {
                let x = *v;
                *v = 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * K * (1.0 + 3.0 * 0.044_715 * x * x);
            });
        }
        Activation::Swish => {
            let sigmoid = of(Activation::Sigmoid, values);
            values.iter_mut().zip(sigmoid).for_each(|(v, s)| *v = s * (1.0 + *v * (1.0 - s)));
        }
    }
}

/// The values of a contiguous f32 tensor.
fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("activation needs a contiguous tensor");
    };
    Ok(&storage.as_slice::<f32>()?[start..end])
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn the_routines_equal_tensor_operations_forward_and_backward() {
        let values: Vec<f32> = (-400..400).map(|i| i as f32 * 0.01 + 0.003).collect();
        for kind in Activation::ALL {
            let run = |f: fn(&Tensor, Activation) -> Result<Tensor>| {
                let x = Var::from_slice(&values, values.len(), &Device::Cpu).unwrap();
                let y = f(&x, kind).unwrap();
                let gradients = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
                let dx = gradients.get(&x).unwrap().to_vec1::<f32>().unwrap();
                (y.to_vec1::<f32>().unwrap(), dx)
            };
            let ((y, dy), (expected, expected_dy)) = (run(apply), run(composite));
            for i in 0..values.len() {
                let far = |a: f32, b: f32| (a - b).abs() > 2e-5 * (1.0 + b.abs());
                assert!(!far(y[i], expected[i]), "{kind:?}({}): {} {}", values[i], y[i], expected[i]);
                assert!(!far(dy[i], expected_dy[i]), "{kind:?}'({}): {} {}", values[i], dy[i], expected_dy[i]);
            }
        }
    }
}
