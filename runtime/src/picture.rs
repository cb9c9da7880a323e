//! A model of an image as an image of the `embedded-graphics` family: decoded as it is drawn, a tile of points at a time,
//! at any size.

use core::{cell::RefCell, marker::PhantomData};

use embedded_graphics_core::{
    geometry::{Dimensions, OriginDimensions, Point, Size},
    image::ImageDrawable,
    pixelcolor::{PixelColor, Rgb888},
    prelude::DrawTarget,
    primitives::Rectangle,
};

use crate::{Axis, Model, describe::Sampling, uses};

/// Points evaluated together.
const TILE: usize = 16;
/// Most outputs of a picture.
const CHANNELS: usize = 3;

/// A grey (one output) or coloured (three outputs) picture over two coordinates, the first from left to right, the second
/// from top to bottom. Drawing goes pixel by pixel into the target; no picture is ever held in memory.
#[derive(Debug)]
pub struct Picture<'m, C, const USES: u32 = { uses::ALL }> {
    model: &'m Model<'m, USES>,
    axes: [Axis; 2],
    /// Value of black and levels per unit, of every channel.
    levels: [[f32; 2]; CHANNELS],
    scratch: RefCell<&'m mut [f32]>,
    color: PhantomData<C>,
}

impl<'m, C, const USES: u32> Picture<'m, C, USES> {
    /// Samples at `axes`; `ranges` are the values of black and white of every output. The more `scratch`, from
    /// [`Model::scratch_len`] to [`Model::batch_scratch_len`], the faster.
    ///
    /// `None` when the model has not two inputs and one or three outputs, when there are not as many ranges as outputs,
    /// when the scratch is too short, or a side has no or more than 2^15 pixels.
    pub fn new(
        model: &'m Model<'m, USES>,
        axes: [Axis; 2],
        ranges: &[[f32; 2]],
        scratch: &'m mut [f32],
    ) -> Option<Self> {
        let outputs = model.outputs();
        let sides = axes.iter().all(|a| (1..=1 << 15).contains(&a.count));
        let fits = model.inputs() == 2 && (outputs == 1 || outputs == CHANNELS) && ranges.len() == outputs;
        if !fits || !sides || scratch.len() < model.scratch_len() {
            return None;
        }
        let mut levels = [[0.0; 2]; CHANNELS];
        for (level, [black, white]) in levels.iter_mut().zip(ranges) {
            let extent = white - black;
            *level = [*black, if extent == 0.0 { 0.0 } else { 255.0 / extent }];
        }
        Some(Self { model, axes, levels, scratch: RefCell::new(scratch), color: PhantomData })
    }

    /// The whole domain at `size`, black and white as the model's file tells them.
    ///
    /// `None` as for [`Picture::new`], and for a model whose file does not describe inputs and outputs, as one made at
    /// build time.
    pub fn scaled(model: &'m Model<'m, USES>, size: Size, scratch: &'m mut [f32]) -> Option<Self> {
        let axis = |index, pixels: u32| {
            let domain = model.input(index)?;
            Some(Axis::over(domain.lo, domain.hi, usize::try_from(pixels).ok()?, Sampling::Cell))
        };
        let axes = [axis(0, size.width)?, axis(1, size.height)?];
        let mut ranges = [[0.0; 2]; CHANNELS];
        for (k, range) in ranges.iter_mut().take(model.outputs()).enumerate() {
            let output = model.output(k)?;
            *range = [output.lo, output.hi];
        }
        Self::new(model, axes, ranges.get(..model.outputs())?, scratch)
    }

    /// Pixels of `area`, row by row.
    fn pixels<'s>(&'s self, area: &Rectangle, scratch: &'s mut [f32]) -> Pixels<'s, 'm, C, USES> {
        let (left, top) = (area.top_left.x.max(0) as usize, area.top_left.y.max(0) as usize);
        let (width, height) = (area.size.width as usize, area.size.height as usize);
        Pixels {
            picture: self,
            scratch,
            values: [0.0; TILE * CHANNELS],
            corner: [left, top],
            width,
            next: 0,
            total: width * height,
            ready: 0,
            at: 0,
        }
    }
}

impl<C, const USES: u32> OriginDimensions for Picture<'_, C, USES> {
    fn size(&self) -> Size {
        let [width, height] = self.axes.map(|a| a.count as u32);
        Size::new(width, height)
    }
}

impl<C: PixelColor + From<Rgb888>, const USES: u32> ImageDrawable for Picture<'_, C, USES> {
    type Color = C;

    fn draw<D: DrawTarget<Color = C>>(&self, target: &mut D) -> Result<(), D::Error> {
        self.draw_sub_image(target, &self.bounding_box())
    }

    /// Draws `area` with its corner at the origin; nothing when it is not all inside the picture.
    fn draw_sub_image<D: DrawTarget<Color = C>>(&self, target: &mut D, area: &Rectangle) -> Result<(), D::Error> {
        let whole = self.bounding_box();
        if area.size.width == 0 || area.size.height == 0 || area.intersection(&whole) != *area {
            return Ok(());
        }
        // Only a target that draws this very picture while it is being drawn finds the scratch taken.
        let Ok(mut scratch) = self.scratch.try_borrow_mut() else { return Ok(()) };
        target.fill_contiguous(&Rectangle::new(Point::zero(), area.size), self.pixels(area, &mut scratch))
    }
}

/// Colours of a part of a picture.
struct Pixels<'s, 'm, C, const USES: u32> {
    picture: &'s Picture<'m, C, USES>,
    scratch: &'s mut [f32],
    values: [f32; TILE * CHANNELS],
    corner: [usize; 2],
    width: usize,
    /// Next pixel to evaluate, of `total`.
    next: usize,
    total: usize,
    /// Pixels in `values`, and the next of them to hand out.
    ready: usize,
    at: usize,
}

impl<C, const USES: u32> Pixels<'_, '_, C, USES> {
    /// Evaluates the next tile; `None` at the end.
    fn evaluate(&mut self) -> Option<()> {
        let n = TILE.min(self.total - self.next);
        let [across, down] = &self.picture.axes;
        let mut points = [[0.0; 2]; TILE];
        for (k, [x, y]) in points.iter_mut().take(n).enumerate() {
            let pixel = self.next + k;
            *x = across.at(self.corner[0] + pixel.checked_rem(self.width)?);
            *y = down.at(self.corner[1] + pixel.checked_div(self.width)?);
        }
        let points = points.get(..n)?.as_flattened();
        let values = self.values.get_mut(..n * self.picture.model.outputs())?;
        self.picture.model.eval_batch(points, values, self.scratch).ok()?;
        (self.next, self.ready, self.at) = (self.next + n, n, 0);
        (n > 0).then_some(())
    }
}

impl<C: From<Rgb888>, const USES: u32> Iterator for Pixels<'_, '_, C, USES> {
    type Item = C;

    fn next(&mut self) -> Option<C> {
        if self.at == self.ready {
            self.evaluate()?;
        }
        let outputs = self.picture.model.outputs();
        let mut channels = [0; CHANNELS];
        let levels = self.picture.levels.iter();
        let values = self.values.get(self.at * outputs..)?.iter().take(outputs);
        for ((channel, value), [black, scale]) in channels.iter_mut().zip(values).zip(levels) {
            // The conversion holds the ends, and makes 0 of a NaN.
            *channel = ((value - black) * scale + 0.5) as u8;
        }
        self.at += 1;
        let [red, green, blue] = channels;
        let color = if outputs == 1 { Rgb888::new(red, red, red) } else { Rgb888::new(red, green, blue) };
        Some(color.into())
    }
}
