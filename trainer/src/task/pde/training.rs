//! An equation as something that trains a network: its terms at points drawn anew every step, weighted and refined.

mod points;

use std::sync::Mutex;

use super::{
    balance,
    config::{Curriculum, PdeConfig},
};
use crate::{
    config::RunConfig,
    domain::Collocation,
    engine::{Engine, JetEngine, Plan, StepReport},
    error::{Error, Result},
    fold::Normalization,
    network::{MappingConfig, NetworkConfig, Parameter, find},
    observation::pde::{Axis, Dual, Equation, Field, LANES, Look, Place, Prepared, Purpose, Term, equation, hard},
    rng::Rng,
    train::Schedule,
};

/// Points of a step of L-BFGS over those of any other: they stay the same, so they must be dense.
const DENSER: usize = 4;
/// Steps of L-BFGS for which a coefficient that moves stays the same, as the loss must.
const STAGE: u64 = 250;

/// What an equation asks of a network, step by step.
pub struct Training {
    /// The equation.
    pub equation: &'static dyn Equation,
    /// Its coordinates.
    pub axes: Vec<Axis>,
    /// Its terms.
    pub terms: Vec<Term>,
    /// Weight of every term.
    pub weights: Vec<f32>,
    /// What every term came to at the last step, not weighted.
    pub losses: Vec<f64>,
    /// Coefficients; of those that are sought, what they are held to be.
    pub coefficients: Vec<f64>,
    /// Between physical units and the network's.
    pub normalization: Normalization,
    prepared: Vec<Prepared>,
    config: PdeConfig,
    steps: u64,
    /// Those of L-BFGS too.
    all_steps: u64,
    learning_rate: f64,
    schedule: Schedule,
    collocation: Collocation,
    seed: u64,
    /// Index, logarithm and Adam's moments of each coefficient that is sought.
    sought: Vec<(usize, [f32; 3])>,
    /// Whether the coefficient that begins elsewhere is where it goes: there it stays, though a run grows longer.
    arrived: bool,
    /// The stage of L-BFGS at whose coefficients there is nothing lower.
    rests: Option<u64>,
    /// Points held where the residual is large, in the network's units.
    refined: Vec<f32>,
    /// Where the solution is measured, in the network's units, and what is measured there.
    data: (Vec<f32>, Vec<f64>),
}

impl std::fmt::Debug for Training {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "training on {}: {:?}", self.equation.name(), self.terms)
    }
}

impl Training {
    /// For this record; `reference` is what measurements are taken from where coefficients are sought.
    ///
    /// # Errors
    /// [`Error::Config`] for a network that does not suit the equation.
    pub fn new(config: &RunConfig<PdeConfig>, reference: &Field) -> Result<Self> {
        let record = config.signal.clone();
        let equation = equation(&record.equation)?;
        suits(equation, &config.network)?;
        let (axes, outputs) = (equation.axes(), equation.outputs());
        let mut normalization = Normalization {
            input_centre: axes.iter().map(|a| 0.5 * (a.lo + a.hi)).collect(),
            input_half: axes.iter().map(|a| 0.5 * (a.hi - a.lo)).collect(),
            output_centre: vec![0.0; outputs.len()],
            output_half: outputs.iter().map(|o| o.1).collect(),
            mask: None,
        };
        let known = equation.coefficients();
        let coefficients = values(equation, &record);
        let sought: Vec<(usize, [f32; 3])> =
            known.iter().enumerate().filter_map(|(i, c)| Some((i, [c.sought?.ln() as f32, 0.0, 0.0]))).collect();
        let (inputs, names): (Vec<&str>, Vec<&str>) =
            (axes.iter().map(|a| a.name).collect(), outputs.iter().map(|o| o.0).collect());
        let mut terms = equation.terms();
        if record.hard {
            let c: Vec<Dual> = coefficients.iter().map(|&c| Dual::constant(c)).collect();
            let (mask, left) = hard(&axes, &names, &terms, &c)?;
            normalization.mask = Some(mask);
            let mut left = left.into_iter();
            terms.retain(|_| left.next().unwrap_or(true));
        }
        let prepare = |term: &Term| term.prepare(&inputs, &names, &normalization, sought.len());
        let seed = config.training.seed;
        let mut training = Self {
            prepared: terms.iter().map(prepare).collect::<Result<_>>()?,
            weights: terms.iter().map(|t| record.weights.get(t.name).map_or(1.0, |w| *w as f32)).collect(),
            losses: vec![f64::NAN; terms.len()],
            steps: config.training.steps,
            all_steps: config.training.all_steps(),
            learning_rate: config.training.learning_rate,
            schedule: config.training.schedule,
            collocation: Collocation::new(seed, record.sampler),
            seed,
            config: record,
            arrived: false,
            rests: None,
            refined: Vec::new(),
            data: (Vec::new(), Vec::new()),
            equation,
            axes,
            terms,
            coefficients,
            normalization,
            sought,
        };
        if training.terms.iter().any(|t| t.place == Place::Data) {
            training.measure(reference);
        }
        training.take_sought();
        Ok(training)
    }

    /// Physical points in the network's units.
    pub fn to_network(&self, x: &[f64]) -> Vec<f32> {
        let n = &self.normalization;
        let axes = self.axes.len();
        x.iter().enumerate().map(|(i, x)| ((x - n.input_centre[i % axes]) / n.input_half[i % axes]) as f32).collect()
    }

    /// And back: what the network sees is what the equation is told.
    fn to_physical(&self, x: &[f32]) -> Vec<f64> {
        let n = &self.normalization;
        let axes = self.axes.len();
        x.iter().enumerate().map(|(i, x)| n.input_centre[i % axes] + n.input_half[i % axes] * f64::from(*x)).collect()
    }

    fn take_sought(&mut self) {
        for (index, state) in &self.sought {
            self.coefficients[*index] = f64::from(state[0]).exp();
        }
    }

    /// The step whose coefficients hold at `step`: itself, and within L-BFGS the first of [`STAGE`].
    fn stage(&self, step: u64) -> u64 {
        step - step.saturating_sub(self.steps + 1) % STAGE
    }

    /// Coefficients at `step`; those that are sought are variables of the last lanes.
    fn duals(&self, step: u64) -> Vec<Dual> {
        let names = self.equation.coefficients();
        let value = |(i, &value): (usize, &f64)| {
            if let Some(lane) = self.sought.iter().position(|(index, _)| *index == i) {
                return Dual::variable(value as f32, LANES - self.sought.len() + lane);
            }
            let ramp = self.config.curriculum.as_ref().filter(|c| c.coefficient == names[i].name);
            Dual::constant(ramp.map_or(value, |c| c.from + (value - c.from) * self.ramp(c, step)))
        };
        self.coefficients.iter().enumerate().map(value).collect()
    }

    /// How much of its way a coefficient has gone at `step`.
    fn ramp(&self, c: &Curriculum, step: u64) -> f64 {
        let done = (self.stage(step) - 1) as f64 / self.all_steps as f64;
        if self.arrived { 1.0 } else { ((done - c.start) / (c.share - c.start)).clamp(0.0, 1.0) }
    }

    /// Notes where a coefficient arrives.
    fn note_arrival(&mut self, step: u64) {
        self.arrived = self.config.curriculum.as_ref().is_some_and(|c| self.ramp(c, step) == 1.0);
    }

    /// Share of Adam's steps before `step`.
    fn done(&self, step: u64) -> f64 {
        (step - 1) as f64 / self.steps as f64
    }

    /// Hands term `k` at the points `x` to `use_it`, and tells of a residual that is no number.
    fn look<R>(
        &self,
        k: usize,
        x: &[f32],
        c: &[Dual],
        purpose: Purpose<'_>,
        use_it: impl FnOnce(&Look<'_>) -> Result<R>,
    ) -> Result<R> {
        let (term, fault) = (&self.terms[k], Mutex::new(None));
        let physical = self.to_physical(x);
        let data: &[f64] = if term.place == Place::Data { &self.data.1 } else { &[] };
        let look = Look { term, prepared: &self.prepared[k], x: &physical, data, c, purpose, fault: &fault };
        let out = use_it(&look)?;
        let Some(at) = fault.into_inner().expect("no panic holds it") else { return Ok(out) };
        let place: Vec<String> = self.axes.iter().zip(&at).map(|(a, x)| format!("{} = {x:.6}", a.name)).collect();
        Err(Error::Config {
            field: format!("equation `{}`", self.equation.name()),
            message: format!(
                "the residual of its term `{}` is no finite number at {}, though the solution and its derivatives are",
                term.name,
                place.join(", ")
            ),
        })
    }

    /// The engine as one that carries what the terms need.
    ///
    /// # Errors
    /// [`Error::Config`] where it does not.
    pub fn jets<'a>(&self, engine: &'a mut dyn Engine) -> Result<&'a mut dyn JetEngine> {
        let plans: Vec<&Plan> = self.prepared.iter().map(|p| &p.plan).collect();
        engine.jets(&plans)
    }

    /// Gathers all terms at `step` (from 1); the sum of their losses, not weighted, so that it can be compared over a
    /// run whose weights change.
    ///
    /// # Errors
    /// [`Error::Config`] for an engine that does not carry the derivatives, or for a residual that is no number.
    pub fn gather(&mut self, engine: &mut dyn Engine, step: u64) -> Result<f64> {
        let engine = self.jets(engine)?;
        self.note_arrival(step);
        let c = self.duals(step);
        if self.config.refine > 0.0 && (step - 1).is_multiple_of(self.config.refine_every) {
            self.refine(engine, step, &c)?;
        }
        let due = self.config.balance != super::Balance::Fixed;
        if due && self.terms.len() > 1 && (step - 1).is_multiple_of(self.config.balance_every) {
            balance::update(self, engine, step, &c)?;
        }
        let slopes = self.observe(engine, step, &c, 1)?;
        self.seek(&slopes, step);
        Ok(self.losses.iter().sum())
    }

    /// Gathers all terms, and gives the slopes by the coefficients that are sought.
    fn observe(&mut self, engine: &mut dyn JetEngine, step: u64, c: &[Dual], denser: usize) -> Result<Vec<f64>> {
        let mut slopes = vec![0.0; self.sought.len()];
        for k in 0..self.terms.len() {
            let x = self.points(k, step, denser);
            let mut extra = vec![0.0; self.sought.len()];
            let weight = f64::from(self.weights[k]);
            self.losses[k] = self.look(k, &x, c, Purpose::Squares, |look| {
                engine.observe_jets(&look.prepared.plan, &x, look, weight, &mut extra)
            })?;
            slopes.iter_mut().zip(extra).for_each(|(sum, e)| *sum += weight * e);
        }
        Ok(slopes)
    }

    /// One step of L-BFGS with weights and points that stay; the sum of the terms, as [`Training::gather`] gives it.
    ///
    /// # Errors
    /// Those of [`Training::gather`].
    pub fn settle(&mut self, engine: &mut dyn Engine, step: u64) -> Result<Option<StepReport>> {
        let engine = self.jets(engine)?;
        self.note_arrival(step);
        let (first, stage) = (self.steps + 1, self.stage(step));
        // Nothing lower is no end where the loss is still to change.
        let moves = self.config.curriculum.is_some() && !self.arrived;
        if moves && self.rests == Some(stage) {
            return Ok(Some(StepReport { loss: self.losses.iter().sum(), gradient_norm: 0.0 }));
        }
        let mut logs: Vec<f32> = self.sought.iter().map(|(_, state)| state[0]).collect();
        // Where nothing moves, what the last step ended at is not looked at again.
        let function = if moves { stage } else { 0 };
        let report = engine.descend(function, &mut logs, &mut |engine, logs| {
            self.hold(logs);
            let slopes = self.observe(engine, first, &self.duals(step), DENSER)?;
            let loss = self.losses.iter().zip(&self.weights).map(|(l, w)| l * f64::from(*w)).sum();
            let by_log = |(slope, (index, _)): (f64, &(usize, _))| (slope * self.coefficients[*index]) as f32;
            Ok((loss, slopes.into_iter().zip(&self.sought).map(by_log).collect()))
        })?;
        self.hold(&logs);
        if moves && report.is_none() {
            self.rests = Some(stage);
            return self.settle(engine, step);
        }
        Ok(report.map(|report| StepReport { loss: self.losses.iter().sum(), ..report }))
    }

    /// Takes these logarithms for the coefficients that are sought.
    fn hold(&mut self, logs: &[f32]) {
        self.sought.iter_mut().zip(logs).for_each(|((_, state), log)| state[0] = *log);
        self.take_sought();
    }

    /// Sizes of the residual of every term that holds inside, at these points in physical units.
    ///
    /// # Errors
    /// Those of [`Training::gather`].
    pub fn residuals(&self, engine: &mut dyn Engine, points: &[f64]) -> Result<Vec<(&'static str, Vec<f32>)>> {
        let engine = self.jets(engine)?;
        let (c, x) = (self.duals(u64::MAX), self.to_network(points));
        let inside = (0..self.terms.len()).filter(|&k| self.terms[k].place == Place::Inside);
        inside.map(|k| Ok((self.terms[k].name, self.sizes(engine, k, &x, &c)?))).collect()
    }

    /// Sizes of the residual of term `k` at these points in the network's units.
    fn sizes(&self, engine: &mut dyn JetEngine, k: usize, x: &[f32], c: &[Dual]) -> Result<Vec<f32>> {
        let sizes = Mutex::new(vec![0.0; x.len() / self.axes.len()]);
        self.look(k, x, c, Purpose::Sizes(&sizes), |look| {
            engine.look(&look.prepared.plan, x, look, self.sought.len()).map(drop)
        })?;
        Ok(sizes.into_inner().expect("no panic holds it"))
    }

    /// One step of Adam for the logarithms of the coefficients that are sought.
    fn seek(&mut self, slopes: &[f64], step: u64) {
        let rate = self.learning_rate * self.config.sought_rate * self.schedule.factor(step, self.steps);
        for ((index, [log, first, second]), slope) in self.sought.iter_mut().zip(slopes) {
            let g = (slope * self.coefficients[*index]) as f32;
            *first = 0.9 * *first + 0.1 * g;
            *second = 0.999 * *second + 0.001 * g * g;
            let unbiased = |moment: f32, decay: f64| f64::from(moment) / (1.0 - decay.powf(step as f64));
            *log -= (rate * unbiased(*first, 0.9) / (unbiased(*second, 0.999).sqrt() + 1e-8)) as f32;
        }
        self.take_sought();
    }

    /// The gradient that term `k` alone has at `step`, by what is trained; `signs` as for [`Purpose::Signs`].
    pub(super) fn gradient(
        &self,
        engine: &mut dyn JetEngine,
        k: usize,
        step: u64,
        c: &[Dual],
        signs: Option<&mut Rng>,
    ) -> Result<Vec<Parameter>> {
        let x = self.points(k, step, 1);
        let mut extra = vec![0.0; self.sought.len()];
        let count = x.len() / self.axes.len();
        let signs: Option<Vec<f32>> =
            signs.map(|rng| (0..count).map(|_| if rng.uniform() < 0.5 { -1.0 } else { 1.0 }).collect());
        let purpose = signs.as_deref().map_or(Purpose::Squares, Purpose::Signs);
        self.look(k, &x, c, purpose, |look| engine.observe_jets(&look.prepared.plan, &x, look, 1.0, &mut extra))?;
        engine.take_gradients()
    }

    #[cfg(test)]
    pub(super) fn open_until(&self, step: u64) -> f64 {
        self.ends(step)[0].1
    }

    #[cfg(test)]
    pub(super) fn coefficient_at(&self, step: u64) -> f32 {
        self.duals(step)[0].value()
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn balance(&self) -> (super::Balance, f32) {
        (self.config.balance, self.config.momentum as f32)
    }

    /// Names and values of the coefficients that are sought, and what they truly are.
    pub fn found(&self) -> Vec<(&'static str, f64, f64)> {
        let truth = values(self.equation, &self.config);
        let name = |i: usize| self.equation.coefficients()[i].name;
        self.sought.iter().map(|(i, _)| (name(*i), self.coefficients[*i], truth[*i])).collect()
    }

    /// What a run must know to go on.
    pub fn state(&self) -> Vec<Parameter> {
        let mut state =
            vec![Parameter { name: "weights".into(), shape: vec![self.weights.len()], values: self.weights.clone() }];
        if !self.refined.is_empty() {
            let shape = vec![self.refined.len() / self.axes.len(), self.axes.len()];
            state.push(Parameter { name: "refined".into(), shape, values: self.refined.clone() });
        }
        if self.arrived {
            state.push(Parameter { name: "arrived".into(), shape: vec![1], values: vec![1.0] });
        }
        if !self.sought.is_empty() {
            let values: Vec<f32> = self.sought.iter().flat_map(|s| s.1).collect();
            state.push(Parameter { name: "sought".into(), shape: vec![self.sought.len(), 3], values });
        }
        state
    }

    /// Takes up what [`Training::state`] gave.
    ///
    /// # Errors
    /// [`Error::Config`] for numbers that are missing or not of this equation.
    pub fn restore(&mut self, state: &[Parameter]) -> Result<()> {
        self.weights = find(state, "weights", &[self.terms.len()])?.to_vec();
        if let Some(refined) = state.iter().find(|p| p.name == "refined") {
            self.refined.clone_from(&refined.values);
        }
        self.arrived = state.iter().any(|p| p.name == "arrived");
        if !self.sought.is_empty() {
            let values = find(state, "sought", &[self.sought.len(), 3])?;
            let values = values.as_chunks::<3>().0;
            self.sought.iter_mut().zip(values).for_each(|(s, v)| s.1 = *v);
            self.take_sought();
        }
        Ok(())
    }
}

/// Coefficients as the record has them.
pub(super) fn values(equation: &dyn Equation, record: &PdeConfig) -> Vec<f64> {
    equation.coefficients().iter().map(|c| record.coefficients.get(c.name).copied().unwrap_or(c.value)).collect()
}

/// Whether a network is periodic where the equation is.
fn suits(equation: &dyn Equation, network: &NetworkConfig) -> Result<()> {
    let periodic = matches!(network.mapping, MappingConfig::Periodic { .. });
    if periodic == equation.periodic() {
        return Ok(());
    }
    let name = equation.name();
    let message = if periodic {
        format!("found periodic, expected another: the solution of `{name}` is not periodic")
    } else {
        format!("found another, expected periodic: `{name}` has no boundary condition but that it is periodic")
    };
    Err(Error::Config { field: "network.mapping".into(), message })
}
