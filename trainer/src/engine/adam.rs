//! Adam's update of one tensor: in place on the CPU, by tensor operations elsewhere.

use candle_core::{CpuStorage, InplaceOp2, Layout, Result, Tensor, Var, bail};

use super::AdamStep;

/// A trained tensor and its moments.
#[derive(Debug)]
pub(super) struct Trained {
    /// Name.
    pub(super) name: String,
    /// The tensor.
    pub(super) value: Var,
    /// First moment, then second, `[2, n]`.
    pub(super) moments: Var,
}

/// Moves `trained` along `gradient`, which is scaled by `shrink` first (clipping).
pub(super) fn update(trained: &Trained, gradient: &Tensor, shrink: f64, adam: &AdamStep) -> Result<()> {
    if trained.value.device().is_cpu() {
        let moments = UpdateMoments { adam: *adam, shrink: shrink as f32 };
        trained.moments.inplace_op2(&gradient.contiguous()?, &moments)?;
        return trained.value.inplace_op2(&trained.moments, &UpdateValue(*adam));
    }
    composite(trained, gradient, shrink, adam)
}

/// The two bias corrections, 1 - beta^step.
fn corrections(adam: &AdamStep) -> (f64, f64) {
    let step = adam.step as f64;
    (1.0 - adam.beta1.powf(step), 1.0 - adam.beta2.powf(step))
}

fn composite(trained: &Trained, gradient: &Tensor, shrink: f64, adam: &AdamStep) -> Result<()> {
    let (c1, c2) = corrections(adam);
    let gradient = (gradient.flatten_all()? * shrink)?;
    let m = trained.moments.get(0)?;
    let v = trained.moments.get(1)?;
    let m = ((m * adam.beta1)? + (&gradient * (1.0 - adam.beta1))?)?;
    let v = ((v * adam.beta2)? + (gradient.sqr()? * (1.0 - adam.beta2))?)?;
    let step = ((&m / c1)? / ((&v / c2)?.sqrt()? + adam.epsilon)?)?;
    let kept = (trained.value.as_tensor() * (1.0 - adam.learning_rate * adam.weight_decay))?;
    trained.value.set(&(kept - (step.reshape(trained.value.shape())? * adam.learning_rate)?)?)?;
    trained.moments.set(&Tensor::stack(&[m, v], 0)?)
}

/// First and second moment `[2, n]` from a gradient.
struct UpdateMoments {
    adam: AdamStep,
    shrink: f32,
}

impl InplaceOp2 for UpdateMoments {
    fn name(&self) -> &'static str {
        "adam-moments"
    }

    fn cpu_fwd(
        &self,
        moments: &mut CpuStorage,
        layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> Result<()> {
        let (beta1, beta2) = (self.adam.beta1 as f32, self.adam.beta2 as f32);
        let gradient = slice(gradient, gradient_layout)?;
        let (m, v) = slice_mut(moments, layout)?.split_at_mut(gradient.len());
        for ((m, v), g) in m.iter_mut().zip(v).zip(gradient) {
            let g = g * self.shrink;
            *m = beta1 * *m + (1.0 - beta1) * g;
            *v = beta2 * *v + (1.0 - beta2) * (g * g);
        }
        Ok(())
    }
}

/// A value from its moments.
struct UpdateValue(AdamStep);

impl InplaceOp2 for UpdateValue {
    fn name(&self) -> &'static str {
        "adam-value"
    }

    fn cpu_fwd(
        &self,
        value: &mut CpuStorage,
        layout: &Layout,
        moments: &CpuStorage,
        moments_layout: &Layout,
    ) -> Result<()> {
        let adam = &self.0;
        let (c1, c2) = corrections(adam);
        let (rate, root, epsilon) = ((adam.learning_rate / c1) as f32, (1.0 / c2.sqrt()) as f32, adam.epsilon as f32);
        let keep = (1.0 - adam.learning_rate * adam.weight_decay) as f32;
        let value = slice_mut(value, layout)?;
        let (m, v) = slice(moments, moments_layout)?.split_at(value.len());
        for (x, (m, v)) in value.iter_mut().zip(m.iter().zip(v)) {
            *x = *x * keep - rate * m / (v.sqrt() * root + epsilon);
        }
        Ok(())
    }
}

fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else { bail!("adam needs contiguous tensors") };
    Ok(&storage.as_slice::<f32>()?[start..end])
}

fn slice_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else { bail!("adam needs contiguous tensors") };
    match storage {
        CpuStorage::F32(values) => Ok(&mut values[start..end]),
        _ => bail!("adam trains f32 tensors"),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::tolerance;

    #[test]
    fn both_updates_equal_the_textbook_in_f64() {
        let gradients = [[0.5f32, -2.0, 1e-3], [0.1, 0.3, -4.0], [0.0, 1.0, 2.0]];
        let start = [1.0f32, -0.5, 3.0];
        let adam = |step| AdamStep {
            learning_rate: 0.01,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.1,
            clip: None,
            step,
        };
        let mut expected = start.map(f64::from);
        let (mut m, mut v) = ([0.0f64; 3], [0.0f64; 3]);
        for (t, gradient) in (1..).zip(&gradients) {
            for k in 0..3 {
                let g = 0.5 * f64::from(gradient[k]);
                m[k] = 0.9 * m[k] + 0.1 * g;
                v[k] = 0.999 * v[k] + 0.001 * g * g;
                let (mh, vh) = (m[k] / (1.0 - 0.9f64.powi(t)), v[k] / (1.0 - 0.999f64.powi(t)));
                expected[k] -= 0.01 * 0.1 * expected[k];
                expected[k] -= 0.01 * mh / (vh.sqrt() + 1e-8);
            }
        }
        for update in [update, composite] {
            let trained = Trained {
                name: "x".into(),
                value: Var::from_slice(&start, 3, &Device::Cpu).unwrap(),
                moments: Var::zeros((2, 3), candle_core::DType::F32, &Device::Cpu).unwrap(),
            };
            for (t, gradient) in (1..).zip(&gradients) {
                let gradient = Tensor::from_slice(gradient, 3, &Device::Cpu).unwrap();
                update(&trained, &gradient, 0.5, &adam(t)).unwrap();
            }
            for (found, expected) in trained.value.to_vec1::<f32>().unwrap().iter().zip(expected) {
                let error = (f64::from(*found) / expected - 1.0).abs();
                assert!(error < tolerance::OPTIMIZER, "{found} {expected}");
            }
        }
    }
}
