//! The fast engine on a CUDA GPU: trained numbers, moments and samples stay there, and a step is one recorded graph of a
//! few kernels: tiles of points through the network and back, sums over blocks, pull-back, Adam, dense weights.
//!
//! Kernels are CUDA C++ (`kernels`), compiled at run time for the network's sizes. They add in an order that does not
//! change from run to run. All of it is tested on the host: `emulator` runs the same source and the same host code.

mod buffer;
#[cfg(test)]
mod emulator;
mod gpu;
mod jets;
mod machine;
mod nvrtc;
mod pass;
mod plan;
mod program;
mod sizes;
mod state;

use std::{cell::RefCell, rc::Rc};

use self::{
    buffer::Buffer,
    gpu::Gpu,
    jets::Jets,
    machine::{Graph, Kernel, Launch, Machine, Module, int},
    pass::{Look, Passes},
    program::Mode,
    sizes::{Sizes, padded},
    state::State,
};
use super::{
    AdamStep, Batch, DenseGradient, Engine, Gather, JetEngine, JetObservation, Loss, MatmulPrecision, Observation,
    StepReport, check_dense,
    descent::{Descends, Descent, descend},
    jet,
    layout::Layout,
    whole_groups,
};
use crate::{
    error::{Error, Result},
    network::{DenseNetwork, DenseSpec, HostDense, Network, Parameter},
};

/// Most steps that are handed over at once.
pub(super) const TOGETHER: usize = 32;
/// Most points whose values are made at once.
const VALUES: usize = 1 << 20;

/// A network trained by hand-written kernels on a CUDA GPU.
pub struct CudaEngine {
    machine: Rc<dyn Machine>,
    network: Network,
    sizes: Sizes,
    layout: Layout,
    /// Kernels of trained numbers.
    module: Module,
    state: State,
    passes: Passes,
    jets: Jets,
    /// What L-BFGS knows.
    descent: Descent,
    data: Option<Data>,
    /// Whether gradients of dense layers are gathered.
    gathered: bool,
    /// Steps recorded as one, and what they are.
    recorded: RefCell<Option<(Vec<Launch>, Graph)>>,
    /// Indices of samples, for as many steps as are handed over at once.
    indices: RefCell<Option<Buffer<i32>>>,
    /// Recorded steps done.
    #[cfg(test)]
    replayed: std::cell::Cell<usize>,
}

/// The samples trained on.
struct Data {
    x: Buffer<f32>,
    y: Buffer<f32>,
    points: usize,
}

/// GPU `n` as it is called, and the most f32 operations it can do, in 10^9 a second.
///
/// # Errors
/// [`Error::Device`] saying what is missing and what to do.
pub fn cuda(n: usize) -> Result<(String, f64)> {
    let gpu = Gpu::new(n)?;
    Ok((gpu.name(), gpu.peak()))
}

/// Whether there is a driver for CUDA GPUs on this machine.
pub fn has_cuda_driver() -> bool {
    gpu::has_driver()
}

impl CudaEngine {
    /// `network` with these trained numbers on GPU `n`, factors of its products rounded to `matmul`.
    ///
    /// # Errors
    /// [`Error::Device`] saying what is missing and what to do, [`Error::Config`] for hidden layers that differ or a
    /// parameter that is missing or has another shape.
    pub fn new(network: &Network, parameters: &[Parameter], n: usize, matmul: MatmulPrecision) -> Result<Self> {
        let gpu = Gpu::new(n)?;
        gpu.check(matmul)?;
        Self::on(Rc::new(gpu), network, parameters, matmul)
    }

    fn on(
        machine: Rc<dyn Machine>,
        network: &Network,
        parameters: &[Parameter],
        matmul: MatmulPrecision,
    ) -> Result<Self> {
        let sizes = Sizes::new(network)?;
        let layout = Layout::new(network);
        let kernels = [Kernel::Materialize, Kernel::PullBack, Kernel::SharedSlopes, Kernel::Gather, Kernel::Adam];
        let module = machine.load(&program::parameters(&sizes, layout.len), &kernels)?;
        let mut engine = Self {
            state: State::new(&machine, &sizes, layout.len)?,
            passes: Passes::new(&machine, &sizes, network, matmul)?,
            jets: Jets::default(),
            descent: Descent::default(),
            data: None,
            gathered: false,
            recorded: RefCell::default(),
            indices: RefCell::default(),
            #[cfg(test)]
            replayed: std::cell::Cell::new(0),
            network: network.clone(),
            machine,
            sizes,
            layout,
            module,
        };
        engine.set_parameters(parameters)?;
        Ok(engine)
    }

    fn run(&self, launches: &[Launch]) -> Result<()> {
        launches.iter().try_for_each(|l| self.machine.launch(l))
    }

    fn data(&self) -> Result<&Data> {
        self.data.as_ref().ok_or_else(|| Error::Training("no samples are loaded".into()))
    }

    /// Indices on the device, behind each other.
    fn upload_indices(&self, batches: &[Batch<'_>]) -> Result<Option<u64>> {
        let mut all: Vec<i32> = Vec::new();
        for batch in batches {
            match batch {
                Batch::Full => return Ok(None),
                Batch::Indices(indices) => all.extend(indices.iter().map(|&i| i as i32)),
            }
        }
        let mut room = self.indices.borrow_mut();
        let enough = room.as_ref().filter(|b| b.len() >= all.len());
        let buffer = match enough {
            Some(buffer) => buffer,
            None => {
                // What is recorded reads from the room given back here.
                self.recorded.borrow_mut().take();
                *room = None;
                room.insert(Buffer::room(&self.machine, all.len())?)
            }
        };
        buffer.write(&all)?;
        Ok(Some(buffer.at()))
    }

    fn loaded(&self, batch: Batch<'_>, loss: Loss, weight: f64, indices: Option<u64>) -> Result<Look> {
        let data = self.data()?;
        let points = match batch {
            Batch::Full => data.points,
            Batch::Indices(indices) => indices.len(),
        };
        let mode = match loss {
            Loss::MeanSquaredError => Mode::SquaredError,
            Loss::BinaryCrossEntropy => Mode::CrossEntropy,
        };
        let weight = (weight / (points * self.sizes.outputs) as f64) as f32;
        Ok(Look { mode, x: data.x.at(), target: data.y.at(), indices: indices.unwrap_or(0), points, weight, values: 0 })
    }

    /// Takes points through and back, and adds up what blocks gathered.
    fn pass(&self, look: &Look, add: bool) -> Result<Vec<Launch>> {
        let pass = self.passes.of(look.points)?;
        let gather = self.gather((&pass.partial, &pass.losses), pass.plan.blocks, add);
        Ok(vec![pass.tile(look, &self.state, &self.passes), gather])
    }

    /// Adds up gradients and losses of so many blocks.
    fn gather(&self, (partial, losses): (&Buffer<f32>, &Buffer<f64>), blocks: usize, add: bool) -> Launch {
        let arguments = vec![
            partial.at(),
            int(blocks),
            self.state.dense_gradient.at(),
            int(usize::from(add)),
            losses.at(),
            self.state.reports.at(),
            self.state.step.at(),
        ];
        self.launch(Kernel::Gather, self.sizes.dense().div_ceil(plan::THREADS), arguments)
    }

    fn launch(&self, kernel: Kernel, grid: usize, arguments: Vec<u64>) -> Launch {
        Launch { module: self.module, kernel, grid, shared: 0, arguments }
    }

    /// From the gradient of dense layers to that of trained numbers.
    fn pull_back(&self) -> Vec<Launch> {
        let (s, blocks) = (&self.state, self.sizes.neuron_blocks());
        let arguments = [&s.trained, &s.dense_gradient, &s.factor, &s.length, &s.gradient, &s.slopes].map(Buffer::at);
        let mut launches = vec![self.launch(Kernel::PullBack, blocks, [&arguments[..], &[s.squares.at()]].concat())];
        if self.sizes.shared_slopes() {
            let behind = s.squares.at() + (blocks * size_of::<f64>()) as u64;
            let arguments = vec![s.slopes.at(), s.gradient.at(), behind];
            launches.push(self.launch(Kernel::SharedSlopes, self.sizes.layers(), arguments));
        }
        launches
    }

    /// The dense layers of what is trained; steps count on where `advance` is set.
    fn materialize(&self, advance: bool) -> Launch {
        let s = &self.state;
        let arguments = [&s.trained, &s.dense, &s.across, &s.factor, &s.length].map(Buffer::at);
        let arguments = [&arguments[..], &[s.step.at(), int(usize::from(advance))]].concat();
        self.launch(Kernel::Materialize, self.sizes.neuron_blocks(), arguments)
    }

    /// From the gradient of dense layers to new trained numbers and their dense layers.
    fn optimize(&self, advance: bool) -> Vec<Launch> {
        let s = &self.state;
        let floats = [&s.trained, &s.first, &s.second, &s.gradient].map(Buffer::at);
        let others = [s.squares.at(), int(s.squares.len()), s.schedule.at(), s.reports.at(), s.step.at()];
        let adam = self.launch(Kernel::Adam, self.layout.len.div_ceil(plan::THREADS), [&floats[..], &others].concat());
        let mut launches = self.pull_back();
        launches.extend([adam, self.materialize(advance)]);
        launches
    }

    /// Gathers nothing where nothing is gathered yet.
    fn begin(&mut self) -> Result<()> {
        if !std::mem::replace(&mut self.gathered, true) { self.state.dense_gradient.clear() } else { Ok(()) }
    }

    /// Adds the gradient of what `look` sees to what is gathered; gives the sum of its loss.
    fn observe_look(&mut self, look: &Look) -> Result<f64> {
        self.state.step.write(&[0])?;
        self.run(&self.pass(look, self.gathered)?)?;
        self.gathered = true;
        Ok(self.state.reports.read(1)?[0])
    }

    fn specs(&self) -> Vec<&DenseSpec> {
        self.network.encoders.iter().chain(&self.network.layers).collect()
    }
}

impl Engine for CudaEngine {
    fn name(&self) -> &'static str {
        match self.passes.matmul {
            MatmulPrecision::F32 => "cuda",
            MatmulPrecision::Tf32 => "cuda, tf32",
            MatmulPrecision::Bf16 => "cuda, bf16",
        }
    }

    fn jets(&mut self, plans: &[&jet::Plan]) -> Result<&mut dyn JetEngine> {
        match jets::refusal(&self.sizes, plans) {
            None => Ok(self),
            Some(what) => Err(Error::Config {
                field: "--engine".into(),
                message: format!("found cuda for {what}, expected fused with `--device cpu`"),
            }),
        }
    }

    fn steps_together(&self) -> usize {
        TOGETHER
    }

    fn load(&mut self, x: &[f32], y: &[f32]) -> Result<()> {
        // Given back first, so that there is room.
        self.data = None;
        self.recorded.take();
        let points = x.len() / self.sizes.inputs;
        self.data = Some(Data { x: Buffer::from(&self.machine, x)?, y: Buffer::from(&self.machine, y)?, points });
        Ok(())
    }

    fn observe_batch(&mut self, batch: Batch<'_>, loss: Loss, weight: f64) -> Result<f64> {
        let indices = self.upload_indices(&[batch])?;
        let look = self.loaded(batch, loss, weight, indices)?;
        Ok(self.observe_look(&look)? / (look.points * self.sizes.outputs) as f64)
    }

    fn observe(&mut self, x: &[f32], observation: &dyn Observation, weight: f64) -> Result<f64> {
        let points = x.len() / self.sizes.inputs;
        whole_groups(observation, points)?;
        let y = self.forward(x)?;
        let mut dy = vec![0.0; y.len()];
        let loss = observation.pull(0, &y, &mut dy);
        let (x, dy) = (Buffer::from(&self.machine, x)?, Buffer::from(&self.machine, &dy)?);
        let (mode, weight) = (Mode::Cotangents, weight as f32);
        self.observe_look(&Look { mode, x: x.at(), target: dy.at(), indices: 0, points, weight, values: 0 })?;
        Ok(loss)
    }

    fn observe_dense(&mut self, gradients: &[DenseGradient]) -> Result<()> {
        check_dense(&self.specs(), gradients)?;
        self.begin()?;
        let mut all = self.state.dense_gradient.read(self.sizes.dense())?;
        for (layer, gradient) in gradients.iter().enumerate() {
            let (inputs, outputs) = self.sizes.layer(layer);
            let (_, rest) = all.split_at_mut(self.sizes.dense_at(layer));
            let (weights, biases) = rest.split_at_mut(padded(inputs) * padded(outputs));
            for (row, values) in weights.chunks_exact_mut(padded(outputs)).zip(gradient.kernel.chunks_exact(outputs)) {
                row.iter_mut().zip(values).for_each(|(g, v)| *g += v);
            }
            biases.iter_mut().zip(&gradient.bias).for_each(|(g, v)| *g += v);
        }
        self.state.dense_gradient.write(&all)
    }

    fn take_gradients(&mut self) -> Result<Vec<Parameter>> {
        let gradient = self.gradient()?;
        Ok(self.layout.name(&gradient))
    }

    fn update(&mut self, adam: &AdamStep) -> Result<f64> {
        self.begin()?;
        self.state.step.write(&[0])?;
        self.state.schedule.write(&state::row(adam))?;
        self.run(&self.optimize(false))?;
        self.gathered = false;
        Ok(self.state.reports.read(2)?[1])
    }

    fn steps(&mut self, batches: &[Batch<'_>], loss: Loss, adam: &[AdamStep]) -> Result<Vec<StepReport>> {
        let points = |batch: &Batch<'_>| match batch {
            Batch::Full => None,
            Batch::Indices(indices) => Some(indices.len()),
        };
        let alike = batches.iter().all(|b| points(b) == points(&batches[0]));
        if self.gathered || !alike || batches.len() < 2 || batches.len() > TOGETHER {
            return batches.iter().zip(adam).map(|(&batch, adam)| self.step(batch, loss, adam)).collect();
        }
        let indices = self.upload_indices(batches)?;
        let look = self.loaded(batches[0], loss, 1.0, indices)?;
        let mut launches = self.pass(&look, false)?;
        launches.extend(self.optimize(true));
        let schedule: Vec<f32> = adam.iter().flat_map(state::row).collect();
        self.state.schedule.write(&schedule)?;
        self.state.step.write(&[0])?;
        let same = self.recorded.borrow().as_ref().filter(|(before, _)| *before == launches).map(|(_, graph)| *graph);
        let graph = match same {
            Some(graph) => graph,
            None => {
                let graph = self.machine.record(&launches)?;
                self.recorded.replace(Some((launches, graph)));
                graph
            }
        };
        for _ in batches {
            self.machine.replay(graph)?;
        }
        #[cfg(test)]
        self.replayed.set(self.replayed.get() + batches.len());
        let reports = self.state.reports.read(2 * batches.len())?;
        let values = (look.points * self.sizes.outputs) as f64;
        Ok(reports.chunks_exact(2).map(|r| StepReport { loss: r[0] / values, gradient_norm: r[1] }).collect())
    }

    fn forward(&self, x: &[f32]) -> Result<Vec<f32>> {
        let mut out = Vec::new();
        for x in x.chunks(VALUES * self.sizes.inputs) {
            let points = x.len() / self.sizes.inputs;
            let x = Buffer::from(&self.machine, x)?;
            let y = Buffer::<f32>::room(&self.machine, points * self.sizes.outputs)?;
            let (mode, weight) = (Mode::Values, 0.0);
            let look = Look { mode, x: x.at(), target: 0, indices: 0, points, weight, values: y.at() };
            let pass = self.passes.of(points)?;
            self.machine.launch(&pass.tile(&look, &self.state, &self.passes))?;
            out.extend(y.read(points * self.sizes.outputs)?);
        }
        Ok(out)
    }

    fn parameters(&self) -> Result<Vec<Parameter>> {
        Ok(self.layout.name(&self.trained()?))
    }

    fn set_parameters(&mut self, parameters: &[Parameter]) -> Result<()> {
        let mut trained = vec![0.0; self.layout.len];
        self.layout.fill(&mut trained, parameters)?;
        self.place(&trained)
    }

    fn moments(&self) -> Result<Vec<Parameter>> {
        let n = self.layout.len;
        let mut moments = self.layout.name_moments(&self.state.first.read(n)?, &self.state.second.read(n)?);
        moments.extend(self.descent.memory());
        Ok(moments)
    }

    fn set_moments(&mut self, moments: &[Parameter]) -> Result<()> {
        let (mut first, mut second) = (vec![0.0; self.layout.len], vec![0.0; self.layout.len]);
        self.layout.fill_moments(&mut first, &mut second, moments)?;
        self.state.first.write(&first)?;
        self.state.second.write(&second)?;
        self.descent.set_memory(moments, self.layout.len)
    }

    fn dense(&self) -> Result<DenseNetwork> {
        let all = self.state.dense.read(self.sizes.dense())?;
        let wide = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect::<Vec<f64>>();
        let layer = |layer: usize| {
            let (inputs, outputs) = self.sizes.layer(layer);
            let (weights, biases) = all[self.sizes.dense_at(layer)..].split_at(padded(inputs) * padded(outputs));
            let rows = weights.chunks_exact(padded(outputs)).take(inputs);
            let kernel = rows.flat_map(|row| wide(&row[..outputs])).collect();
            HostDense { kernel, bias: wide(&biases[..outputs]), inputs, outputs }
        };
        let mut encoders: Vec<HostDense> = (0..self.sizes.layers()).map(layer).collect();
        let layers = encoders.split_off(self.network.encoders.len());
        Ok(DenseNetwork {
            architecture: self.network.architecture.clone(),
            mapping: self.network.mapping.clone(),
            encoders,
            layers,
            output: None,
            mask: None,
        })
    }
}

impl CudaEngine {
    fn run_jets(
        &mut self,
        plan: &jet::Plan,
        x: &[f32],
        observation: &dyn JetObservation,
        back: Option<f32>,
        extra: &mut [f64],
    ) -> Result<f64> {
        plan.suits(self.sizes.inputs)?;
        if x.is_empty() {
            return Ok(0.0);
        }
        let pass = self.jets.of(&self.machine, &self.sizes, &self.network, plan, x.len() / self.sizes.inputs)?;
        let device = (&self.state, &self.passes.frequencies);
        let (sum, launch) = pass.observe(&self.machine, device, x, observation, back, extra)?;
        if let Some(launch) = launch {
            self.state.step.write(&[0])?;
            self.run(&[launch, self.gather((&pass.partial, &pass.losses), pass.plan.blocks, self.gathered)])?;
            self.gathered = true;
        }
        Ok(sum)
    }
}

impl JetEngine for CudaEngine {
    fn observe_jets(
        &mut self,
        plan: &jet::Plan,
        x: &[f32],
        observation: &dyn JetObservation,
        weight: f64,
        extra: &mut [f64],
    ) -> Result<f64> {
        self.run_jets(plan, x, observation, Some(weight as f32), extra)
    }

    fn look(&mut self, plan: &jet::Plan, x: &[f32], observation: &dyn JetObservation, extra: usize) -> Result<f64> {
        self.run_jets(plan, x, observation, None, &mut vec![0.0; extra])
    }

    fn descend(&mut self, function: u64, beside: &mut [f32], gather: &mut Gather<'_>) -> Result<Option<StepReport>> {
        descend(self, function, beside, gather)
    }
}

impl Descends for CudaEngine {
    fn descent(&mut self) -> &mut Descent {
        &mut self.descent
    }

    fn trained(&self) -> Result<Vec<f32>> {
        self.state.trained.read(self.layout.len)
    }

    fn place(&mut self, trained: &[f32]) -> Result<()> {
        self.state.trained.write(trained)?;
        self.run(&[self.materialize(false)])
    }

    fn gradient(&mut self) -> Result<Vec<f32>> {
        self.begin()?;
        self.run(&self.pull_back())?;
        self.gathered = false;
        self.state.gradient.read(self.layout.len)
    }
}

#[cfg(test)]
mod tests;
