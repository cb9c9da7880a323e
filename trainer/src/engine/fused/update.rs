//! What is trained moves: gradients pulled back, Adam, dense layers made anew, a thread a share of the layers.

use super::{
    Part,
    factors::Dense,
    jet,
    linear::{Place, add_to},
    optimizer,
    panel::Row,
};
use crate::{
    engine::{AdamStep, layout::Slot},
    network::{DenseSpec, Network},
};

/// Numbers of a network from which on its layers are shared among threads; below, waking one takes longer than it helps.
const SHARED: usize = 16 * 1024;

/// Gradients that are still to be added, of every workspace those of all layers.
#[derive(Clone, Copy)]
pub(super) enum Added<'a> {
    Nothing,
    Points(&'a [Part]),
    Jets(&'a [jet::Part]),
}

impl<'a> Added<'a> {
    /// Hands them to `each` in their order.
    fn for_each(self, mut each: impl FnMut(&'a [Row])) {
        match self {
            Self::Nothing => {}
            Self::Points(parts) => parts.iter().for_each(|part| each(&part.tile.gradient)),
            Self::Jets(parts) => parts.iter().for_each(|part| each(part.gradient())),
        }
    }
}

/// Layers next to each other, and all that is trained of them.
pub(super) struct Layers<'a> {
    pub(super) network: &'a Network,
    /// Index of the first.
    pub(super) first: usize,
    pub(super) dense: &'a mut [Dense],
    pub(super) slots: &'a [Slot],
    pub(super) places: &'a [Place],
    pub(super) trained: &'a mut [f32],
    /// Adam's moments.
    pub(super) moments: [&'a mut [f32]; 2],
    pub(super) gradient: &'a mut [f32],
    /// Whether there is a gradient already.
    pub(super) gathered: bool,
    pub(super) added: Added<'a>,
}

impl Layers<'_> {
    /// Adds up the gradients of dense layers.
    pub(super) fn gather(self) {
        self.each(&|_, slot, layer| {
            layer.gather_one(slot);
            0.0
        });
    }

    /// Gradients of dense layers become those of what is trained; the sum of their squares.
    pub(super) fn pull_back(self) -> f64 {
        self.each(&|spec, slot, layer| {
            layer.gather_one(slot);
            layer.dense[0].pull_back(spec, slot, layer.trained, layer.gradient);
            optimizer::square(layer.gradient)
        })
    }

    /// A step of Adam, gradients times `shrink`, and the dense layers that come of it.
    pub(super) fn step(self, shrink: f32, adam: &AdamStep) {
        self.each(&|spec, slot, layer| {
            layer.step_one(spec, slot, shrink, adam);
            0.0
        });
    }

    /// Both, where no step is shrunk by what all gradients come to.
    pub(super) fn pull_back_and_step(self, adam: &AdamStep) -> f64 {
        self.each(&|spec, slot, layer| {
            layer.gather_one(slot);
            layer.dense[0].pull_back(spec, slot, layer.trained, layer.gradient);
            let square = optimizer::square(layer.gradient);
            layer.step_one(spec, slot, 1.0, adam);
            square
        })
    }

    fn gather_one(&mut self, slot: &Slot) {
        if !self.gathered {
            self.gradient.fill(0.0);
        }
        let [weight, bias] =
            self.gradient.get_disjoint_mut([slot.weight.clone(), slot.bias.clone()]).expect("tensors do not overlap");
        self.added.for_each(|gradient| add_to(gradient, &self.places[0], weight, bias));
    }

    fn step_one(&mut self, spec: &DenseSpec, slot: &Slot, shrink: f32, adam: &AdamStep) {
        let [first, second] = &mut self.moments;
        optimizer::adam(self.trained, first, second, self.gradient, shrink, adam);
        self.dense[0].materialize(spec, slot, self.trained);
    }

    /// The sum of what `f` gives of every layer by itself, in an order that threads do not change.
    fn each(mut self, f: &(impl Fn(&DenseSpec, &Slot, &mut Layers<'_>) -> f64 + Sync)) -> f64 {
        let (count, all) = (self.dense.len(), self.trained.len());
        if count == 1 {
            let encoders = &self.network.encoders;
            let spec = encoders.get(self.first).unwrap_or_else(|| &self.network.layers[self.first - encoders.len()]);
            let slot = self.slots[0].from(self.slots[0].weight.start);
            return f(spec, &slot, &mut self);
        }
        // Where it comes nearest to halves.
        let start = self.slots[0].weight.start;
        let place = |n: usize| self.slots[n].weight.start - start;
        let cut = (1..count).min_by_key(|&n| place(n).abs_diff(all / 2)).expect("two layers or more");
        let at = place(cut);
        let [first, second] = self.moments;
        let (dense, slots) = (self.dense.split_at_mut(cut), self.slots.split_at(cut));
        let places = self.places.split_at(cut);
        let (trained, gradient) = (self.trained.split_at_mut(at), self.gradient.split_at_mut(at));
        let (first, second) = (first.split_at_mut(at), second.split_at_mut(at));
        let left = Layers {
            network: self.network,
            first: self.first,
            dense: dense.0,
            slots: slots.0,
            places: places.0,
            trained: trained.0,
            moments: [first.0, second.0],
            gradient: gradient.0,
            gathered: self.gathered,
            added: self.added,
        };
        let right = Layers {
            network: self.network,
            first: self.first + cut,
            dense: dense.1,
            slots: slots.1,
            places: places.1,
            trained: trained.1,
            moments: [first.1, second.1],
            gradient: gradient.1,
            gathered: self.gathered,
            added: self.added,
        };
        let (left, right) = if all < SHARED || rayon::current_num_threads() == 1 {
            (left.each(f), right.each(f))
        } else {
            rayon::join(|| left.each(f), || right.each(f))
        };
        left + right
    }
}
