//! Points through the network and back: kernels for tiles of a shape, and what their blocks leave behind.

use std::{cell::RefCell, rc::Rc};

use super::{
    buffer::Buffer,
    machine::{Kernel, Launch, Machine, Module, float, int},
    plan::{Plan, Shape},
    program::{self, Mode},
    sizes::Sizes,
    state::State,
};
use crate::{engine::MatmulPrecision, error::Result, network::Network};

/// What a pass looks at; places are those of buffers, 0 where there is none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) mode: Mode,
    /// Coordinates `[n, inputs]`.
    pub(super) x: u64,
    /// Targets of all samples, or cotangents of these points, `[n, outputs]`.
    pub(super) target: u64,
    /// Samples of each step, behind each other.
    pub(super) indices: u64,
    pub(super) points: usize,
    pub(super) weight: f32,
    /// Where values go `[n, outputs]`.
    pub(super) values: u64,
}

/// Kernels and room for batches of one plan.
pub(super) struct Pass {
    pub(super) plan: Plan,
    module: Module,
    room: Buffer<f32>,
    /// Each block's gradient of dense layers.
    pub(super) partial: Buffer<f32>,
    /// Each block's loss.
    pub(super) losses: Buffer<f64>,
}

impl Pass {
    /// The launch that takes points through and, but for [`Mode::Values`], back.
    pub(super) fn tile(&self, look: &Look, state: &State, passes: &Passes) -> Launch {
        let arguments = vec![
            int(look.mode as usize),
            look.x,
            look.target,
            look.indices,
            state.step.at(),
            int(look.points),
            float(look.weight),
            passes.frequencies.at(),
            state.dense.at(),
            state.across.at(),
            look.values,
            self.room.at(),
            self.partial.at(),
            self.losses.at(),
        ];
        let Plan { blocks: grid, shared, .. } = self.plan;
        Launch { module: self.module, kernel: Kernel::Tile, grid, shared, arguments }
    }
}

/// Passes by their plan, made when they are needed.
pub(super) struct Passes {
    machine: Rc<dyn Machine>,
    sizes: Sizes,
    pub(super) matmul: MatmulPrecision,
    /// Frequencies `[inputs, frequencies]`, then phases.
    pub(super) frequencies: Buffer<f32>,
    modules: RefCell<Vec<(Shape, Module)>>,
    made: RefCell<Vec<Rc<Pass>>>,
}

impl Passes {
    pub(super) fn new(
        machine: &Rc<dyn Machine>,
        sizes: &Sizes,
        network: &Network,
        matmul: MatmulPrecision,
    ) -> Result<Self> {
        let mapping = network.mapping.iter().flat_map(|m| m.kernel.iter().chain(&m.bias));
        let frequencies: Vec<f32> = mapping.map(|&v| v as f32).collect();
        Ok(Self {
            frequencies: Buffer::from(machine, &frequencies)?,
            machine: machine.clone(),
            sizes: sizes.clone(),
            matmul,
            modules: RefCell::default(),
            made: RefCell::default(),
        })
    }

    /// The pass of a batch of `points`.
    pub(super) fn of(&self, points: usize) -> Result<Rc<Pass>> {
        let plan = Plan::new(self.sizes.kept_rows(), &self.machine.properties(), points, 1);
        if let Some(pass) = self.made.borrow().iter().find(|p| p.plan == plan) {
            return Ok(pass.clone());
        }
        let pass = Rc::new(Pass {
            module: self.module(plan.shape)?,
            room: Buffer::room(&self.machine, plan.blocks * plan.room)?,
            partial: Buffer::room(&self.machine, plan.blocks * self.sizes.dense())?,
            losses: Buffer::room(&self.machine, plan.blocks)?,
            plan,
        });
        self.made.borrow_mut().push(pass.clone());
        Ok(pass)
    }

    fn module(&self, shape: Shape) -> Result<Module> {
        if let Some((_, module)) = self.modules.borrow().iter().find(|(s, _)| *s == shape) {
            return Ok(*module);
        }
        let module = self.machine.load(&program::tile(&self.sizes, shape, self.matmul), &[Kernel::Tile])?;
        self.modules.borrow_mut().push((shape, module));
        Ok(module)
    }
}
