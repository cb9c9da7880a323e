//! Jets of points through the network and back: a kernel for each plan of derivatives, up to the second order.

use std::rc::Rc;

use rayon::prelude::*;

use super::{
    buffer::Buffer,
    machine::{Kernel, Launch, Machine, Module, float, int},
    plan::{COLUMNS, Plan},
    program,
    sizes::Sizes,
    state::State,
};
use crate::{
    engine::{JetObservation, jet},
    error::Result,
    network::Network,
};

/// Highest order the kernel carries.
const ORDER: usize = 2;
/// Points an observation looks at at once; sums over them have a fixed order.
const AT_ONCE: usize = 256;
/// Plans that are kept ready.
const READY: usize = 16;

/// Why kernels do not carry these derivatives, if they do not.
pub(super) fn refusal(sizes: &Sizes, plans: &[&jet::Plan]) -> Option<String> {
    plans.iter().find_map(|plan| match (plan.order(), plan.rows()) {
        _ if sizes.gate.is_some() => Some("derivatives of a gated network".into()),
        (order, _) if order > ORDER => Some(format!("derivatives of order {order}")),
        (_, rows) if rows > COLUMNS => Some(format!("{rows} coefficients a point")),
        _ => None,
    })
}

/// The kernel of a plan, and room for batches of some size.
pub(super) struct JetPass {
    carried: jet::Plan,
    pub(super) plan: Plan,
    module: Module,
    /// Where directions go and how phases grow along them.
    slopes: Buffer<f32>,
    room: Buffer<f32>,
    /// Each block's gradient of dense layers.
    pub(super) partial: Buffer<f32>,
    /// Nothing, a block each: the host knows the loss.
    pub(super) losses: Buffer<f64>,
    x: Buffer<f32>,
    jets: Buffer<f32>,
    cotangents: Buffer<f32>,
    inputs: usize,
    outputs: usize,
}

impl JetPass {
    fn new(
        machine: &Rc<dyn Machine>,
        sizes: &Sizes,
        network: &Network,
        carried: &jet::Plan,
        (plan, points): (Plan, usize),
    ) -> Result<Self> {
        let growth = network.mapping.as_ref().map(|m| carried.growth(m));
        let mut slopes = Vec::new();
        for (n, direction) in carried.directions.iter().enumerate() {
            slopes.extend_from_slice(&direction.vector);
            slopes.extend(growth.iter().flat_map(|of| &of[n]));
        }
        let values = carried.rows() * points * sizes.outputs;
        Ok(Self {
            module: machine.load(&program::jet(sizes, plan.shape, carried), &[Kernel::Jet])?,
            slopes: Buffer::from(machine, &slopes)?,
            room: Buffer::room(machine, plan.blocks * plan.room)?,
            partial: Buffer::room(machine, plan.blocks * sizes.dense())?,
            losses: Buffer::zeros(machine, plan.blocks)?,
            x: Buffer::room(machine, points * sizes.inputs)?,
            jets: Buffer::room(machine, values)?,
            cotangents: Buffer::room(machine, values)?,
            carried: carried.clone(),
            plan,
            inputs: sizes.inputs,
            outputs: sizes.outputs,
        })
    }

    fn launch(&self, (state, frequencies): (&State, &Buffer<f32>), points: usize, back: Option<f32>) -> Launch {
        let arguments = vec![
            self.x.at(),
            int(points),
            float(back.unwrap_or(0.0)),
            if back.is_some() { self.cotangents.at() } else { 0 },
            self.jets.at(),
            frequencies.at(),
            self.slopes.at(),
            state.dense.at(),
            state.across.at(),
            self.room.at(),
            self.partial.at(),
        ];
        let Plan { blocks: grid, shared, .. } = self.plan;
        Launch { module: self.module, kernel: Kernel::Jet, grid, shared, arguments }
    }

    /// What `observation` makes of the jets at `x`; where there is a way back, its gradient is on the device afterwards
    /// and the launch that takes it to dense layers comes back too.
    pub(super) fn observe(
        &self,
        machine: &Rc<dyn Machine>,
        device: (&State, &Buffer<f32>),
        x: &[f32],
        observation: &dyn JetObservation,
        back: Option<f32>,
        extra: &mut [f64],
    ) -> Result<(f64, Option<Launch>)> {
        let (all, outputs, trained) = (x.len() / self.inputs, self.outputs, extra.len());
        self.x.write(x)?;
        machine.launch(&self.launch(device, all, None))?;
        let (rows, gap) = (self.carried.rows(), all * outputs);
        let jets = self.jets.read(rows * gap)?;
        let starts: Vec<usize> = (0..all).step_by(AT_ONCE).collect();
        let look = |&start: &usize| {
            let points = start..all.min(start + AT_ONCE);
            let (from, width) = (start * outputs, points.len() * outputs);
            let own: Vec<f32> = (0..rows).flat_map(|r| &jets[r * gap + from..][..width]).copied().collect();
            let (mut cotangents, mut own_extra) = (vec![0.0; own.len()], vec![0.0; trained]);
            let sum = observation.observe(points, &own, &mut cotangents, &mut own_extra);
            (sum, cotangents, own_extra)
        };
        let parts: Vec<(f64, Vec<f32>, Vec<f64>)> = starts.par_iter().map(look).collect();
        let mut sum = 0.0;
        for (part, _, own_extra) in &parts {
            sum += part;
            extra.iter_mut().zip(own_extra).for_each(|(all, one)| *all += one);
        }
        if back.is_none() {
            return Ok((sum, None));
        }
        let mut cotangents = vec![0.0; jets.len()];
        for (start, (_, own, _)) in starts.iter().zip(&parts) {
            let width = own.len() / rows;
            for (r, line) in own.chunks_exact(width).enumerate() {
                cotangents[r * gap + start * outputs..][..width].copy_from_slice(line);
            }
        }
        self.cotangents.write(&cotangents)?;
        Ok((sum, Some(self.launch(device, all, back))))
    }
}

/// Passes by their plan, made when they are needed; those that were not needed for longest go.
#[derive(Default)]
pub(super) struct Jets(Vec<Rc<JetPass>>);

impl Jets {
    /// The pass of `points` with the rows of `carried`.
    pub(super) fn of(
        &mut self,
        machine: &Rc<dyn Machine>,
        sizes: &Sizes,
        network: &Network,
        carried: &jet::Plan,
        points: usize,
    ) -> Result<Rc<JetPass>> {
        let plan = Plan::new(sizes.kept_rows_of_jets(), &machine.properties(), points, carried.rows());
        let fits = |p: &Rc<JetPass>| p.carried == *carried && p.plan == plan && p.x.len() >= points * sizes.inputs;
        let pass = match self.0.iter().position(fits) {
            Some(at) => self.0.remove(at),
            None => {
                self.0.truncate(READY - 1);
                Rc::new(JetPass::new(machine, sizes, network, carried, (plan, points))?)
            }
        };
        self.0.insert(0, pass.clone());
        Ok(pass)
    }
}
