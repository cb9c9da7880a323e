//! Pictures drawn on a mock display have the colours that the model gives pixel by pixel.
#![cfg(feature = "embedded-graphics")]

mod common;

use std::convert::Infallible;

use common::File;
use embedded_graphics_core::{
    Pixel,
    geometry::{OriginDimensions, Point, Size},
    image::ImageDrawable,
    pixelcolor::{Gray8, GrayColor, Rgb565, Rgb888, RgbColor},
    prelude::{DrawTarget, PixelColor},
    primitives::Rectangle,
};
use rwf_runtime::{Axis, Model, describe::Sampling, picture::Picture};

/// A display that remembers.
struct Display<C> {
    size: Size,
    pixels: Vec<Option<C>>,
}

impl<C: PixelColor> Display<C> {
    fn new(width: u32, height: u32) -> Self {
        Self { size: Size::new(width, height), pixels: vec![None; (width * height) as usize] }
    }

    fn at(&self, x: usize, y: usize) -> Option<C> {
        self.pixels[y * self.size.width as usize + x]
    }
}

impl<C> OriginDimensions for Display<C> {
    fn size(&self) -> Size {
        self.size
    }
}

impl<C: PixelColor> DrawTarget for Display<C> {
    type Color = C;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<C>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(Point { x, y }, color) in pixels {
            if (0..self.size.width as i32).contains(&x) && (0..self.size.height as i32).contains(&y) {
                let at = y as usize * self.size.width as usize + x as usize;
                assert!(self.pixels[at].replace(color).is_none(), "a pixel drawn twice");
            }
        }
        Ok(())
    }
}

fn level(value: f32) -> u8 {
    (f64::from(value) * 255.0).round().clamp(0.0, 255.0) as u8
}

#[test]
fn every_pixel_has_the_colour_of_its_values() {
    let bytes = File::network("fourier", "tanh,tanh,sigmoid", None).bytes();
    let model = Model::new(&bytes).unwrap();
    let (width, height) = (37, 11);
    for extra in [0, 15 * model.scratch_len()] {
        let mut scratch = vec![0.0; model.scratch_len() + extra];
        let picture = Picture::<Rgb888>::scaled(&model, Size::new(width, height), &mut scratch).unwrap();
        let mut display = Display::new(width, height);
        picture.draw(&mut display).unwrap();
        let domain = [model.input(0).unwrap(), model.input(1).unwrap()];
        let axes = [
            Axis::over(domain[0].lo, domain[0].hi, 37, Sampling::Cell),
            Axis::over(domain[1].lo, domain[1].hi, 11, Sampling::Cell),
        ];
        let mut own = vec![0.0; model.scratch_len()];
        for row in 0..11 {
            for column in 0..37 {
                let mut y = [0.0; 3];
                model.eval(&[axes[0].at(column), axes[1].at(row)], &mut y, &mut own).unwrap();
                let found = display.at(column, row).expect("every pixel is drawn");
                assert_eq!([found.r(), found.g(), found.b()], y.map(level), "{column} {row}");
            }
        }

        // A part of it, as another kind of colour and with its corner at the origin.
        let ranges = [[0.0, 1.0]; 3];
        let picture = Picture::<Rgb565>::new(&model, axes, &ranges, &mut scratch).unwrap();
        let mut part = Display::<Rgb565>::new(width, height);
        picture.draw_sub_image(&mut part, &Rectangle::new(Point::new(5, 3), Size::new(20, 6))).unwrap();
        for row in 0..11 {
            for column in 0..37 {
                let expected = (row < 6 && column < 20).then(|| display.at(column + 5, row + 3).unwrap().into());
                assert_eq!(part.at(column, row), expected);
            }
        }
        let mut nothing = Display::<Rgb565>::new(width, height);
        picture.draw_sub_image(&mut nothing, &Rectangle::new(Point::new(30, 3), Size::new(20, 6))).unwrap();
        picture.draw_sub_image(&mut nothing, &Rectangle::new(Point::new(-1, 0), Size::new(2, 2))).unwrap();
        assert!(nothing.pixels.iter().all(Option::is_none));
    }
}

#[test]
fn one_output_is_grey_and_levels_are_held_at_their_ends() {
    let mut file = File::network("none", "tanh,identity", None);
    file.tensors.truncate(2);
    file.push("layers.1.kernel", &[5, 1], 3.0);
    file.push("layers.1.bias", &[1], 0.5);
    let bytes = file.bytes();
    let model = Model::new(&bytes).unwrap();
    let axis = Axis { start: -1.0, step: 0.25, count: 9 };
    let mut scratch = vec![0.0; model.scratch_len()];
    // From white to black: the lower value is the brighter.
    let picture = Picture::<Gray8>::new(&model, [axis; 2], &[[1.0, -1.0]], &mut scratch).unwrap();
    let mut display = Display::new(9, 9);
    picture.draw(&mut display).unwrap();
    let mut seen = Vec::new();
    for row in 0..9 {
        for column in 0..9 {
            let mut y = [0.0];
            model.eval(&[axis.at(column), axis.at(row)], &mut y, &mut scratch).unwrap();
            let found = display.at(column, row).unwrap().luma();
            assert!((i32::from(found) - i32::from(level(0.5 - 0.5 * y[0]))).abs() <= 1, "{y:?} {found}");
            seen.push(found);
        }
    }
    assert!(seen.contains(&0) && seen.contains(&255), "{seen:?}");
}

#[test]
fn what_is_no_picture_is_refused() {
    let bytes = File::network("none", "tanh,tanh,identity", None).bytes();
    let model = Model::new(&bytes).unwrap();
    let n = model.scratch_len();
    let axis = Axis { start: 0.0, step: 1.0, count: 4 };
    let ranges = [[0.0, 1.0]; 3];
    assert!(Picture::<Rgb888>::new(&model, [axis; 2], &ranges, &mut vec![0.0; n]).is_some());
    assert!(Picture::<Rgb888>::new(&model, [axis; 2], &ranges, &mut vec![0.0; n - 1]).is_none());
    assert!(Picture::<Rgb888>::new(&model, [axis; 2], &ranges[..2], &mut vec![0.0; n]).is_none());
    let empty = Axis { count: 0, ..axis };
    assert!(Picture::<Rgb888>::new(&model, [axis, empty], &ranges, &mut vec![0.0; n]).is_none());
    assert!(Picture::<Rgb888>::scaled(&model, Size::new(0, 4), &mut vec![0.0; n]).is_none());
}
